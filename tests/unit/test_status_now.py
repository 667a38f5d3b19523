from pathlib import Path

import pytest

from agent import run_lock, status_now
from agent.errors import Refused
from agent.reporting import status_file
from agent.run_directory import RunDirectory
from agent.status import DiskState, State, Status, StepState, StepStatus
from tests.unit.test_reporting_common import DISK, PROGRESS, status

STEPS = (
    StepStatus(name="fetch", state=StepState.DONE, seconds=1),
    StepStatus(name="write", state=StepState.DOING),
    StepStatus(name="flush"),
)


@pytest.fixture
def where(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def doing(**more: object) -> Status:
    return status(step="write", steps=STEPS, progress=PROGRESS, **more)


def killed(where: RunDirectory, **more: object) -> Status:
    """What is shown when the agent that wrote the file is no more."""
    status_file.write(where.status, doing(**more))
    found = status_now.status_now(where)
    assert found is not None
    return found


def test_no_deployment(where: RunDirectory) -> None:
    assert status_now.status_now(where) is None


@pytest.mark.parametrize("state", [State.DONE, State.ERROR])
def test_a_deployment_that_has_ended(where: RunDirectory, state: State) -> None:
    status_file.write(where.status, status(status=state))
    assert status_now.status_now(where) == status(status=state)


def test_a_deployment_that_is_running(where: RunDirectory) -> None:
    status_file.write(where.status, doing())
    with run_lock.hold(where.lock):
        assert status_now.status_now(where) == doing()


def test_an_agent_that_was_killed(where: RunDirectory) -> None:
    found = killed(where)
    assert (found.status, found.progress) == (State.ERROR, None)
    assert found.message == "The agent ended before the deployment did."
    assert "in the step write" in (found.detail or "")
    assert "the same request will do" in (found.hint or "")
    assert [step.state for step in found.steps] == ["done", "failed", "pending"]


def test_killed_before_writing(where: RunDirectory) -> None:
    assert killed(where, disk=DISK).disk_state is DiskState.UNTOUCHED


def test_killed_while_writing(where: RunDirectory) -> None:
    found = killed(where, disk=DISK, disk_touched=True)
    assert found.disk_state is DiskState.NOT_BOOTABLE
    assert (found.disk_touched, found.exit_code) == (True, 143)


def test_killed_while_the_disk_may_boot(where: RunDirectory) -> None:
    found = killed(where, disk=DISK, disk_touched=True, disk_may_boot=True)
    assert found.disk_state is DiskState.MAY_BOOT
    assert found.disk_state is DiskState.MAY_BOOT


def test_a_deployment_that_has_not_signed_its_lock_is_running(where: RunDirectory) -> None:
    status_file.write(where.status, doing())
    with run_lock.hold(where.lock):
        where.lock.write_bytes(b"")
        assert status_now.status_now(where) == doing()


def test_a_status_that_may_not_be_read(where: RunDirectory) -> None:
    where.status.mkdir()
    with pytest.raises(Refused):
        status_now.status_now(where)


def test_killed_with_its_lock_file_left_behind(where: RunDirectory) -> None:
    with run_lock.hold(where.lock):
        pass
    assert where.lock.exists()
    assert killed(where).status is State.ERROR


def test_an_end_between_two_looks_is_believed(where: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends_now(_path: Path) -> bool:
        status_file.write(where.status, status(status=State.DONE))
        return False

    status_file.write(where.status, doing())
    monkeypatch.setattr(run_lock, "is_held", ends_now)
    assert status_now.status_now(where) == status(status=State.DONE)
