"""A reboot that is put off, and what stops it."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import run_lock
from agent.cancellation import stop_pending_reboot, tell_to_end
from agent.deployment.later_reboot import reboot_later
from agent.errors import AlreadyRunning, Refused
from agent.interrupts import undisturbed
from agent.reporting import events, status_file
from agent.reporting.status_change import apply
from agent.run_directory import RunDirectory
from agent.status import Status
from tests.unit.test_cli_status import deployment

ENDED = apply(events.Finished(), Status(servername="ns1", started_at="2026-01-01T00:00:00Z"))


@pytest.fixture
def where(tmp_path: Path) -> RunDirectory:
    found = RunDirectory(tmp_path)
    status_file.write(found.status, ENDED)
    found.lock.touch()
    return found


def rebooted(
    where: RunDirectory,
    seconds: float,
    meanwhile: Callable[[], None] | None = None,
    *,
    works: bool = False,
) -> bool:
    """Tell whether it came to the reboot, and to that with the lock."""
    done: list[bool] = []
    timer = threading.Timer(0.05, meanwhile or (lambda: None))
    timer.start()

    def reboot() -> bool:
        done.append(run_lock.is_held(where.lock) and run_lock.owner(where.lock) is None)
        return works

    with undisturbed():
        assert reboot_later(where, ENDED, seconds, reboot) == bool(done)
    timer.join()
    assert done in ([], [True])
    return bool(done)


def test_it_comes_when_nothing_is_in_the_way(where: RunDirectory) -> None:
    assert rebooted(where, 0.3)
    assert not run_lock.is_held(where.lock)


@pytest.mark.parametrize("seconds", [0, 0.1])
def test_nothing_begins_while_the_system_goes_down(
    where: RunDirectory, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr("agent.deployment.later_reboot.GOING_DOWN", 3.0)
    monkeypatch.setattr(run_lock, "_PATIENCE", 0.05)
    assert rebooted(where, seconds, works=True)
    with pytest.raises(AlreadyRunning), run_lock.hold(where.lock):
        pass
    with pytest.raises(Refused, match="can not be stopped now"):
        tell_to_end(where)
    assert run_lock.wait_until_free(where.lock, 30), "a server that does not go down is lost to deployments"


def test_cancelling_stops_it(where: RunDirectory) -> None:
    stopped: list[bool] = []

    def stop() -> None:
        assert run_lock._until(lambda: run_lock.owner(where.pending_reboot) is not None, 10)
        stopped.append(stop_pending_reboot(where))

    assert not stop_pending_reboot(where)
    assert not rebooted(where, 60, stop)
    assert stopped == [True]


def test_an_erased_status_stops_it(where: RunDirectory) -> None:
    assert not rebooted(where, 60, where.status.unlink)


def test_one_that_is_erased_at_the_last_moment_stops_it(where: RunDirectory) -> None:
    where.status.unlink()
    assert not rebooted(where, 0)


def test_another_deployment_stops_it(where: RunDirectory) -> None:
    other = Status(servername="ns1", started_at="2026-01-01T01:00:00Z")
    assert not rebooted(where, 60, lambda: status_file.write(where.status, other))
    status_file.write(where.status, apply(events.Finished(), other))
    assert not rebooted(where, 0.1)


def test_one_that_has_only_just_begun_stops_it(where: RunDirectory) -> None:
    with deployment(where.lock):
        assert not rebooted(where, 0.01)


def test_a_status_that_can_not_be_read_stops_it(where: RunDirectory) -> None:
    where.status.write_text("{")
    assert not rebooted(where, 0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it(where: RunDirectory, number: signal.Signals) -> None:
    assert not rebooted(where, 60, lambda: signal.raise_signal(number))
