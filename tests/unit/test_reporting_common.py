"""One of each event, and a deployment that has them all; no tests in here."""

from dataclasses import dataclass, field

from agent.effort import Limit
from agent.exit_codes import ExitCode
from agent.reporting import events
from agent.reporting.reporter import Listener, Reporter
from agent.status import DiskStatus, Progress, Status, StepStatus

STARTED_AT = "2026-01-01T00:00:00Z"
DISK = DiskStatus(path="/dev/sda", model="Fast 1", serial="S1", size=1 << 40)
PROGRESS = Progress(
    bytes_done=1 << 20,
    bytes_total=4 << 20,
    bytes_per_second=1 << 20,
    eta_seconds=3,
    limited_by=Limit.NETWORK,
)
FAILED = events.Failed(
    "Can't write raw on disk.", "The cable came off.", "Put it back.", ExitCode.WRITE_FAILED
)

ONE_OF_EACH: tuple[events.Event, ...] = (
    events.StepStarted("write", "Writing the image"),
    events.Progressed("write", PROGRESS),
    events.Note("The server did not answer; again in 1 s."),
    events.Warned("The rest of the disk can not be used."),
    events.DiskChosen(DISK),
    events.SumKnown("abc"),
    events.DiskTouched(),
    events.StepFinished("write", 2.34567),
    FAILED,
    events.Finished(),
)


def status(**more: object) -> Status:
    steps = (StepStatus(name="fetch"), StepStatus(name="write"))
    return Status(servername="ns1", started_at=STARTED_AT, steps=steps).model_copy(update=more)


class Clock:
    """A clock that moves only when told."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Heard:
    """A listener that keeps what it hears."""

    told: list[tuple[events.Event, Status]] = field(default_factory=list)

    def handle(self, event: events.Event, now: Status) -> None:
        self.told.append((event, now))

    @property
    def kinds(self) -> list[type]:
        return [type(event) for event, _ in self.told]


def reporter_with(*listeners: Listener, clock: Clock | None = None) -> Reporter:
    return Reporter(status(), listeners, clock or Clock())
