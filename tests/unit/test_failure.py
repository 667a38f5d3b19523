"""What each error means outside, in each step, before and after writing began: the contract's table."""

import importlib
import pkgutil
import signal
from collections.abc import Iterator
from http import HTTPStatus

import pytest

import agent
import configdrive
import partitioning
from agent.deployment.failure import Circumstances, exit_code_before_writing, explain
from agent.deployment.steps import Step, steps_of, words
from agent.errors import (
    AlreadyRunning,
    ContentsDiffer,
    Interrupted,
    NoEntryMade,
    Refused,
    RequestError,
    StillBootable,
)
from agent.exit_codes import ExitCode
from agent.fetch.errors import (
    ChecksumMismatch,
    FetchError,
    FetchFailed,
    ReadAgain,
    TooBigForMemory,
    WindowTooSmall,
)
from agent.images.errors import (
    BadFormat,
    ImageError,
    ImageLargerThanDisk,
    NotBootable,
    NoUsableTable,
    UnsafeImage,
)
from agent.serve.refusal import CallRefused
from configdrive.errors import ConfigDriveError
from partitioning import errors as disks
from partitioning.command import CommandError, CommandFailed, CommandMissing, CommandTimedOut
from partitioning.errors import ExplainedError, TableUnusable
from tests.unit.test_request_common import SECRET, request

TEXTS = {"detail": "The particulars.", "hint": "Do this."}
CAN_NOT_WRITE = "Can't write qcow2 on disk."
CAN_NOT_MOVE = "Can not move backup GPT data structures to the end of disk."
NO_DRIVE = "Could not create configdrive on disk."
AFTER_WRITING = {
    Step.WRITE: CAN_NOT_WRITE,
    Step.FLUSH: CAN_NOT_WRITE,
    Step.COMPARE: CAN_NOT_WRITE,
    Step.ACTIVATE: CAN_NOT_WRITE,
    Step.GPT: CAN_NOT_MOVE,
    Step.ESP: "Could not make the disk bootable.",
    Step.CONFIGDRIVE: NO_DRIVE,
}

ERRORS: list[ExplainedError] = [
    RequestError("m", **TEXTS),
    Refused("m", **TEXTS),
    AlreadyRunning("m", **TEXTS),
    ContentsDiffer("m", **TEXTS),
    StillBootable("One.", "Two.", disk_path="/dev/sda"),
    NoEntryMade("It is full.", disk_path="/dev/sda", partition=15, loader="\\EFI\\x.efi"),
    ImageError("m", **TEXTS),
    BadFormat("It is text."),
    UnsafeImage("m", **TEXTS),
    ImageLargerThanDisk(image_size=2, disk_size=1, disk_path="/dev/sda"),
    NotBootable("m", **TEXTS),
    NoUsableTable("m", **TEXTS),
    ConfigDriveError("m", **TEXTS),
    CommandError("m", **TEXTS),
    CommandMissing("m", **TEXTS),
    CommandTimedOut("m", **TEXTS),
    CommandFailed("m", **TEXTS, code=1, stderr=""),
    FetchError("m", **TEXTS),
    FetchFailed(url="http://h/x", reason="Gone.", hint="h", status=404, attempts=1),
    TooBigForMemory(needed=2, available=1),
    WindowTooSmall(needed=2, available=1),
    ChecksumMismatch(actual="aa", expected="BB", kind="sha256"),
    ReadAgain(512),
    Interrupted(signal.SIGINT, "SIGINT"),
    Interrupted(signal.SIGTERM, "SIGTERM"),
    CallRefused(HTTPStatus.FORBIDDEN, "FORBIDDEN", "m", **TEXTS),
]
WANTED = request(
    type="qcow2",
    URL=f"https://user:{SECRET}@h.example/image?token={SECRET}",
    configdrive={"enable": True},
    options={"verify": True},
)


def descendants(kind: type[ExplainedError]) -> Iterator[type[ExplainedError]]:
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def every_error() -> list[ExplainedError]:
    """One of each there is; those of disks need nothing but their texts."""
    for package in (agent, configdrive, partitioning):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    others = set(descendants(ExplainedError)) - {type(error) for error in ERRORS}
    return [*ERRORS, *(kind("m", **TEXTS) for kind in sorted(others, key=lambda kind: kind.__name__))]


def at(step: Step | None, *, touched: bool) -> Circumstances:
    return Circumstances(request=WANTED, step=step, disk_touched=touched)


def signal_code(error: ExplainedError) -> int | None:
    return 128 + error.signal_number if isinstance(error, Interrupted) else None


def before_writing(error: ExplainedError) -> tuple[int, str]:
    """What the contract says."""
    match error:
        case Interrupted():
            return signal_code(error) or 0, error.message
        case RequestError():
            return 2, error.message
        case FetchFailed():
            return 4, "Could not download image located : https://h.example/image."
        case ChecksumMismatch():
            return 4, "Bad sha256 for downloaded file, got : aa while expecting BB."
        case TooBigForMemory():
            return 3, "Could not download, qcow2 image is too big to download in memory."
        case FetchError():
            return 4, error.message
    return 3, error.message


def after_writing(error: ExplainedError, step: Step) -> tuple[int, str]:
    if isinstance(error, Interrupted):
        return signal_code(error) or 0, error.message
    if isinstance(error, FetchError):
        # It was on its way while it was written: what ended it is the same, but the disk is not what it was.
        code, message = before_writing(error)
        return 5 if code == 3 else code, message
    if step is Step.VERIFY and isinstance(error, ConfigDriveError):
        return 5, NO_DRIVE
    if step is Step.VERIFY and isinstance(error, TableUnusable):
        return 5, CAN_NOT_MOVE
    return 5, AFTER_WRITING.get(step, error.message)


@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_every_error_in_every_step(error: ExplainedError) -> None:
    for step in Step:
        for touched, expected in ((False, before_writing(error)), (True, after_writing(error, step))):
            failed = explain(error, at(step, touched=touched))
            assert (failed.exit_code, failed.message) == expected, (step, touched)
            assert failed.detail not in ("", failed.message)
            assert error.detail in failed.detail
            assert failed.hint == error.hint
            assert SECRET not in repr(failed)


@pytest.mark.parametrize("error", every_error(), ids=lambda error: type(error).__name__)
def test_before_the_first_step(error: ExplainedError) -> None:
    failed = explain(error, at(None, touched=False))
    assert (failed.exit_code, failed.message) == before_writing(error)


def test_a_documented_message_keeps_what_really_happened() -> None:
    failed = explain(
        disks.DiskWriteError("Writing to /dev/sda failed.", **TEXTS), at(Step.WRITE, touched=True)
    )
    assert failed.detail == "Writing to /dev/sda failed. The particulars."


def test_a_message_is_not_told_twice() -> None:
    assert explain(BadFormat("It is text."), at(Step.INSPECT, touched=False)).detail == "It is text."


@pytest.mark.parametrize(
    "error", [ValueError(SECRET), MemoryError(), OSError(28, SECRET), KeyboardInterrupt(), EOFError()]
)
@pytest.mark.parametrize("touched", [False, True])
def test_a_defect(error: BaseException, touched: bool) -> None:
    for step in (None, *Step):
        failed = explain(error, at(step, touched=touched))
        assert (failed.exit_code, failed.message) == (1, "The agent has a defect.")
        assert failed.detail == f"{type(error).__name__}."
        assert SECRET not in repr(failed)


def test_where_a_defect_is() -> None:
    with pytest.raises(ValueError, match=SECRET) as caught:
        int(SECRET)
    failed = explain(caught.value, at(Step.WRITE, touched=True))
    assert failed.detail.startswith("ValueError at test_failure.py:")
    assert SECRET not in repr(failed)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_outside_of_a_deployment(error: ExplainedError) -> None:
    expected = signal_code(error) or (2 if isinstance(error, RequestError) else 3)
    assert exit_code_before_writing(error) == expected


def test_the_exit_codes() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "DEFECT": 1,
        "WRONG_REQUEST": 2,
        "REFUSED": 3,
        "FETCH_FAILED": 4,
        "WRITE_FAILED": 5,
        "INTERRUPTED": 130,
        "TERMINATED": 143,
    }


def test_the_names_of_the_steps() -> None:
    before = ["disk", "fetch", "inspect", "release"]
    while_it_does_not_boot = [
        *("wipe", "write", "flush", "compare", "look", "gpt", "esp", "configdrive", "verify", "activate")
    ]
    assert list(Step) == [*before, *while_it_does_not_boot, "rivals", "entry"]


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_every_step_has_a_title_and_the_documented_message(kind: str) -> None:
    wanted = request(type=kind)
    titles = [words(step, wanted).title for step in Step]
    assert len(set(titles)) == len(titles)
    assert all(titles)
    assert words(Step.WRITE, wanted).failure == f"Can't write {kind} on disk."


def test_steps_that_are_not_wanted_are_left_out() -> None:
    assert steps_of(WANTED) == tuple(Step)
    left_out = set(Step) - set(steps_of(request()))
    assert left_out == {Step.COMPARE, Step.CONFIGDRIVE}
    assert set(Step) - set(steps_of(request(options={"staging": "memory", "verify": True}))) == {
        Step.LOOK,
        Step.CONFIGDRIVE,
    }
    assert set(Step) - set(steps_of(request(configdrive={"enable": False}, options={"verify": True}))) == {
        Step.CONFIGDRIVE
    }
