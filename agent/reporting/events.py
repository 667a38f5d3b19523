"""What can happen in a deployment, as values."""

from dataclasses import dataclass

from agent.exit_codes import ExitCode
from agent.status import DiskStatus, Progress


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step begins; ``title`` says in words what it does."""

    step: str
    title: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    """A step has ended well."""

    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Progressed:
    """The current step has come further."""

    step: str
    progress: Progress


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth saying that is neither a warning nor progress."""

    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the operator should know, which does not stop the deployment."""

    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A person has been asked whether to go on; nothing happens until the answer comes."""


@dataclass(frozen=True, slots=True)
class DiskChosen:
    """The disk has been chosen."""

    disk: DiskStatus


@dataclass(frozen=True, slots=True)
class Planned:
    """It has been worked out which of the steps there is something to do in."""

    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SumKnown:
    """The sum of what was downloaded is known."""

    checksum: str


@dataclass(frozen=True, slots=True)
class DiskTouched:
    """From now on the disk is not what it was; as long as nothing else is said, it may boot."""


@dataclass(frozen=True, slots=True)
class BootPrevented:
    """Nothing on the disk boots, and that has reached the disk."""


@dataclass(frozen=True, slots=True)
class BootAllowed:
    """From now on the disk may boot, into something that was not read back yet."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The deployment has ended badly."""

    message: str
    detail: str
    hint: str
    exit_code: ExitCode


@dataclass(frozen=True, slots=True)
class Finished:
    """The deployment is done."""


Event = (
    StepStarted
    | StepFinished
    | Progressed
    | Note
    | Warned
    | Asked
    | DiskChosen
    | Planned
    | SumKnown
    | DiskTouched
    | BootPrevented
    | BootAllowed
    | Failed
    | Finished
)
