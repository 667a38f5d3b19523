"""The steps by name, what each says while it runs, and the documented message when it fails."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent import messages
from agent.request.model import Request, Staging


class Step(StrEnum):
    """Every step there is, in the order they are taken."""

    DISK = "disk"
    FETCH = "fetch"
    INSPECT = "inspect"
    RELEASE = "release"
    WIPE = "wipe"
    WRITE = "write"
    FLUSH = "flush"
    COMPARE = "compare"
    LOOK = "look"
    GPT = "gpt"
    ESP = "esp"
    CONFIGDRIVE = "configdrive"
    VERIFY = "verify"
    ACTIVATE = "activate"
    RIVALS = "rivals"
    ENTRY = "entry"


@dataclass(frozen=True, slots=True)
class StepWords:
    """``title`` says what is being done; ``failure`` is the message when it fails after writing began."""

    title: str
    failure: str | None = None


def words(step: Step, request: Request) -> StepWords:
    """Give the words for ``step``."""
    can_not_write = messages.can_not_write(request.type)
    failure = {
        Step.WRITE: can_not_write,
        Step.FLUSH: can_not_write,
        Step.COMPARE: can_not_write,
        Step.GPT: messages.CAN_NOT_MOVE_GPT,
        Step.ESP: messages.NOT_MADE_BOOTABLE,
        Step.CONFIGDRIVE: messages.NO_CONFIGDRIVE,
        Step.ACTIVATE: can_not_write,
    }
    return StepWords(_titles(with_configdrive=request.wants_configdrive)[step], failure.get(step))


def titles(names: Sequence[str]) -> dict[str, str]:
    """Give the titles of the steps of one deployment by their names; a name that is not known is its own."""
    known = {str(step): title for step, title in _titles(with_configdrive=Step.CONFIGDRIVE in names).items()}
    return {name: known.get(name, name) for name in names}


def _titles(*, with_configdrive: bool) -> dict[Step, str]:
    drive = " and the ConfigDrive" if with_configdrive else ""
    return {
        Step.DISK: "Choosing the disk",
        Step.FETCH: "Downloading the image",
        Step.INSPECT: "Inspecting the image",
        Step.RELEASE: "Releasing the disk",
        Step.WIPE: "Erasing the disk",
        Step.WRITE: "Writing the image",
        Step.FLUSH: "Flushing the disk's cache",
        Step.COMPARE: "Reading the image back",
        Step.LOOK: "Inspecting what was written",
        Step.GPT: "Fitting the partition table to the disk",
        Step.ESP: "Adding what the firmware boots from",
        Step.CONFIGDRIVE: "Writing the ConfigDrive",
        Step.VERIFY: f"Reading the partition table{drive} back",
        Step.ACTIVATE: "Making the disk bootable",
        Step.RIVALS: "Erasing what other disks would boot instead",
        Step.ENTRY: "Making the firmware's boot entry",
    }


def steps_of(request: Request) -> tuple[Step, ...]:
    """Give the steps this request may take; which of them it does, the plan decides."""
    left_out = set()
    if request.options.staging is Staging.MEMORY:
        left_out.add(Step.LOOK)
    if not request.options.verify:
        left_out.add(Step.COMPARE)
    if not request.wants_configdrive:
        left_out.add(Step.CONFIGDRIVE)
    return tuple(step for step in Step if step not in left_out)
