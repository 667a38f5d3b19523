"""The steps by name, what each says while it runs, and the documented message when it fails."""

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
    return {
        Step.DISK: StepWords("Choosing the disk"),
        Step.FETCH: StepWords("Downloading the image"),
        Step.INSPECT: StepWords("Inspecting the image"),
        Step.RELEASE: StepWords("Releasing the disk"),
        Step.WIPE: StepWords("Erasing the disk"),
        Step.WRITE: StepWords("Writing the image", can_not_write),
        Step.FLUSH: StepWords("Flushing the disk's cache", can_not_write),
        Step.COMPARE: StepWords("Reading the image back", can_not_write),
        Step.LOOK: StepWords("Inspecting what was written"),
        Step.GPT: StepWords("Fitting the partition table to the disk", messages.CAN_NOT_MOVE_GPT),
        Step.ESP: StepWords("Adding what the firmware boots from", messages.NOT_MADE_BOOTABLE),
        Step.CONFIGDRIVE: StepWords("Writing the ConfigDrive", messages.NO_CONFIGDRIVE),
        Step.VERIFY: StepWords(_read_back_title(request)),
        Step.ACTIVATE: StepWords("Making the disk bootable", can_not_write),
        Step.RIVALS: StepWords("Erasing what other disks would boot instead"),
        Step.ENTRY: StepWords("Making the firmware's boot entry"),
    }[step]


def _read_back_title(request: Request) -> str:
    drive = " and the ConfigDrive" if request.wants_configdrive else ""
    return f"Reading the partition table{drive} back"


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
