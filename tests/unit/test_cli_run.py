"""Whole deployments within this process: what is left behind, how they end, and what comes after."""

import errno
import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import run_lock
from agent.cli import deploy as command_module
from agent.cli.listeners import listeners_for
from agent.deployment import deploy as steps
from agent.deployment import later_reboot, run, target
from agent.deployment.context import Context
from agent.errors import ContentsDiffer, Interrupted, Refused, RequestError
from agent.reporting import events, status_file
from agent.status import DiskState, Status
from partitioning.errors import DiskWriteError, ExplainedError
from partitioning.held_head import HeldHead
from tests.misbehaving_server import MisbehavingServer, Serve, wait_until
from tests.small_images import qcow2
from tests.unit.test_cli_common import CommandLine, Said, command
from tests.unit.test_images_common import MIB, file_of, tiny_image
from tests.unit.test_request_common import SECRET

__all__ = ["command"]

IMAGE = tiny_image()
STEPS = ["disk", "fetch", "inspect", "release", "wipe", "write", "flush", "gpt", "verify", "activate"]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return file_of(tmp_path / "disk", 4 * MIB)


@pytest.fixture
def words(disk: Path) -> Iterator[list[str]]:
    """The words of a deployment that succeeds."""
    with MisbehavingServer() as server:
        url = server.on("/image", Serve(IMAGE)).replace("//", f"//user:{SECRET}@")
        yield ["deploy", "--url", f"{url}?{SECRET}", "--type", "raw", "--disk", str(disk), "--yes", "--json"]


@pytest.fixture
def reboots(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []
    monkeypatch.setattr(run, "reboot", lambda: done.append("reboot"))
    monkeypatch.setattr(later_reboot, "GOING_DOWN", 0.0)
    return done


def left_behind(command: CommandLine) -> str:
    return "".join(path.read_text() for path in command.where.path.iterdir())


def final(said: Said) -> dict[str, object]:
    last: dict[str, object] = json.loads(said.out.splitlines()[-1])
    return last


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch, step: str = "inspect") -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(steps, step, fail)


@pytest.fixture
def rebooting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a deployment to a file end with what one to a disk may end with."""
    monkeypatch.setattr(target, "_refuse_reboot", lambda *_: None)


def test_a_deployment(command: CommandLine, words: list[str], disk: Path, reboots: list[str]) -> None:
    said = command(*words, "--description", "Debian", "--service-name", "ns1")
    assert said.code == 0, said.err
    assert disk.read_bytes()[: len(IMAGE)] == IMAGE
    events = [json.loads(line) for line in said.out.splitlines()]
    assert [event["step"] for event in events if event["event"] == "step_started"] == STEPS
    assert [event["step"] for event in events if event["event"] == "step_finished"] == STEPS
    last = final(said)
    assert (last["event"], last["servername"], last["description"]) == ("done", "ns1", "Debian")
    assert [step["state"] for step in events[-1]["steps"]] == ["done"] * len(STEPS)
    assert json.loads(command.where.status.read_text()).items() <= last.items()
    assert reboots == []


def test_commands_are_in_the_log_and_secrets_are_not(
    command: CommandLine, disk: Path, tmp_path: Path
) -> None:
    raw = tmp_path / "image.raw"
    raw.write_bytes(IMAGE)
    with MisbehavingServer() as server:
        url = server.on("/image", Serve(qcow2(raw).read_bytes())).replace("//", f"//user:{SECRET}@")
        said = command(
            "deploy", "--url", f"{url}?{SECRET}", "--type", "qcow2", "--disk", str(disk), "--yes", "--json"
        )
    assert said.code == 0, said.err
    assert "running: prlimit --as=2147483648 --cpu=60 -- qemu-img check" in command.where.log.read_text()
    assert SECRET not in said.out + said.err + left_behind(command)


def test_the_name_of_the_server(command: CommandLine, words: list[str]) -> None:
    assert final(command(*words))["servername"] == socket.gethostname()


@pytest.mark.parametrize(("flags", "expected"), [(["--reboot"], ["reboot"]), (["--no-reboot"], []), ([], [])])
@pytest.mark.usefixtures("rebooting")
def test_the_reboot(
    command: CommandLine, words: list[str], reboots: list[str], flags: list[str], expected: list[str]
) -> None:
    assert command(*words, *flags).code == 0
    assert reboots == expected


@pytest.mark.usefixtures("rebooting")
@pytest.mark.parametrize("delay", [(), ("--reboot-delay", "0.1")])
def test_a_reboot_that_fails_is_told_in_the_status(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch, delay: tuple[str, ...]
) -> None:
    def fail() -> None:
        raise Refused("It did not reboot.", detail="-", hint="Reboot it by hand.")

    monkeypatch.setattr(run, "reboot", fail)
    said = command(*words, "--reboot", *delay)
    assert said.code == 0
    assert said.err.endswith("It did not reboot. - Reboot it by hand.\n")
    now = json.loads(command("status", "--json", "--full").out)
    assert (now["status"], now["warnings"][-1]) == ("done", "It did not reboot. - Reboot it by hand.")
    assert command(*words).code == 0, "the lock is still held"


@pytest.mark.usefixtures("rebooting")
def test_a_reboot_that_is_put_off(command: CommandLine, words: list[str], reboots: list[str]) -> None:
    assert command(*words, "--reboot", "--reboot-delay", "0.1").code == 0
    assert reboots == ["reboot"]


@pytest.mark.usefixtures("rebooting")
def test_a_reboot_that_is_put_off_can_be_stopped(
    command: CommandLine, words: list[str], reboots: list[str]
) -> None:
    def erase() -> None:
        wait_until(lambda: status_file.read(command.where.status) is not None)
        wait_until(lambda: '"status": "done"' in command.where.status.read_text())
        wait_until(lambda: not run_lock.is_held(command.where.lock))
        command.where.status.unlink()

    eraser = threading.Thread(target=erase)
    eraser.start()
    assert command(*words, "--reboot", "--reboot-delay", "60").code == 0
    eraser.join()
    assert reboots == []


def test_no_reboot_for_a_disk_that_is_a_file(
    command: CommandLine, words: list[str], reboots: list[str], disk: Path
) -> None:
    before = disk.read_bytes()
    said = command(*words, "--reboot")
    assert (said.code, reboots, disk.read_bytes()) == (3, [], before)
    assert final(said)["message"] == "A deployment to a file does not reboot the server."


@pytest.mark.usefixtures("rebooting")
def test_no_reboot_after_a_failure(
    command: CommandLine, words: list[str], reboots: list[str], disk: Path
) -> None:
    disk.unlink()
    assert command(*words, "--reboot").code == 3
    assert reboots == []


@pytest.mark.usefixtures("rebooting")
def test_a_reboot_that_fails_does_not_undo_the_deployment(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise Refused("It could not be rebooted.", detail="Why.", hint="By hand.")

    monkeypatch.setattr(run, "reboot", fail)
    said = command(*words, "--reboot")
    assert (said.code, final(said)["status"]) == (0, "done")
    assert said.err.endswith("It could not be rebooted. Why. By hand.\n")
    assert said.err.count("It could not be rebooted.") == 1


def test_a_defect_is_reported_without_its_text(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch, disk: Path
) -> None:
    fail_with(ValueError(SECRET), monkeypatch)
    said = command(*words)
    assert (said.code, final(said)["message"]) == (1, "The agent has a defect.")
    assert "ValueError at test_cli_run.py:" in str(final(said)["detail"])
    log = command.where.log.read_text()
    assert all(text in log for text in ("ended: The agent has a defect.", "ValueError at", "in fail"))
    assert SECRET not in said.out + said.err + left_behind(command)
    assert not any(disk.read_bytes())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    monkeypatch.setattr(steps, "inspect", lambda *_: signal.raise_signal(number))
    before = signal.getsignal(number)
    said = command(*words)
    assert (said.code, final(said)["message"]) == (code, "The deployment was interrupted.")
    assert signal.getsignal(number) is before


def test_a_signal_after_the_end_changes_nothing(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(context: Context, confirm: steps.Confirm) -> None:
        steps.deploy(context, confirm)
        raise Interrupted(signal.SIGTERM, "SIGTERM")

    monkeypatch.setattr(run, "deploy", too_late)
    said = command(*words)
    assert (said.code, final(said)["status"]) == (0, "done")
    assert json.loads(command.where.status.read_text())["status"] == "done"


def test_another_deployment_is_under_way(
    command: CommandLine, words: list[str], disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lock, "_PATIENCE", 0.05)
    command.where.status.write_text("its status")
    with run_lock.hold(command.where.lock):
        said = command(*words)
    assert (said.code, final(said)["event"], final(said)["exitCode"]) == (3, "error", 3)
    assert final(said)["servername"] == socket.gethostname()
    assert "Another deployment is running on this server." in said.err
    assert command.where.status.read_text() == "its status"
    assert not any(disk.read_bytes())


def test_the_status_is_there_from_the_beginning(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, object]] = []
    monkeypatch.setattr(
        steps, "choose", lambda _context: seen.append(json.loads(command.where.status.read_text()))
    )
    command(*words)
    assert (seen[0]["status"], seen[0]["message"], seen[0]["step"]) == ("doing", "starting", None)


def test_the_next_deployment_begins_anew(command: CommandLine, words: list[str], disk: Path) -> None:
    disk.rename(disk.with_suffix(".away"))
    assert command(*words).code == 3
    disk.with_suffix(".away").rename(disk)
    said = command(*words)
    assert (said.code, final(said)["message"], final(said)["detail"]) == (0, "done", None)
    assert "ended:" not in command.where.log.read_text()


def test_a_terminal_is_asked_and_yes_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    with pytest.raises(RequestError):  # nobody would see the question
        command_module._asks(yes=False, from_stdin=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert command_module._asks(yes=False, from_stdin=False)
    assert not command_module._asks(yes=True, from_stdin=True)


def state_on_file(command: CommandLine) -> DiskState:
    found = status_file.read(command.where.status)
    assert found is not None
    return found.disk_state


@pytest.fixture
def head_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ContentsDiffer("The head differs.", detail="So it is.", hint="Another disk.")
    fail_with(error, monkeypatch, "read_back_head")


@pytest.mark.usefixtures("head_that_differs")
def test_a_head_that_is_not_read_back_is_taken_away(
    command: CommandLine, words: list[str], disk: Path
) -> None:
    said = command(*words)
    assert (said.code, final(said)["message"]) == (5, "Can't write raw on disk.")
    assert f"The disk {disk} was changed and does not boot." in said.err
    assert not any(disk.read_bytes()[:MIB])
    assert state_on_file(command) is DiskState.NOT_BOOTABLE


@pytest.mark.usefixtures("head_that_differs")
def test_a_head_that_can_not_be_taken_away(
    command: CommandLine, words: list[str], disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = DiskWriteError("Writing failed.", detail="The cable came off.", hint="Put it back.")
    monkeypatch.setattr(HeldHead, "withdraw", lambda _held: (_ for _ in ()).throw(error))
    said = command(*words)
    assert (said.code, final(said)["message"]) == (5, "Can't write raw on disk.")
    for text in (
        "could not be made unbootable again",
        "The head differs.",
        "The cable came off.",
        "may start",
    ):
        assert text in str(final(said)["detail"])
    assert f"wipefs -a {disk}" in str(final(said)["hint"])
    assert "does not boot" not in said.err
    assert f"The disk {disk} was changed, and may start or not." in said.err
    assert state_on_file(command) is DiskState.MAY_BOOT


def test_the_state_of_the_disk_on_file(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on file is what ``status`` tells of when the agent is killed at that moment."""
    seen: list[DiskState] = []

    def spy(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def spied(*given: object, **more: object) -> object:
            seen.append(state_on_file(command))
            return real(*given, **more)

        monkeypatch.setattr(owner, name, spied)

    spy(steps, "old_partitions")
    spy(steps, "wipe_signatures")
    spy(steps, "write_image")
    spy(HeldHead, "commit")
    spy(steps, "read_back_head")
    assert command(*words).code == 0
    assert seen == [
        DiskState.UNTOUCHED,
        DiskState.MAY_BOOT,
        DiskState.NOT_BOOTABLE,
        DiskState.MAY_BOOT,
        DiskState.MAY_BOOT,
    ]
    assert state_on_file(command) is DiskState.DEPLOYED


def test_nothing_after_the_last_read_undoes_the_deployment(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch, disk: Path
) -> None:
    fail_with(ValueError(SECRET), monkeypatch, "reread_partitions")
    monkeypatch.setattr(command_module, "listeners_for", lambda **_: [Broken()])
    said = command(*words)
    assert (said.code, state_on_file(command)) == (0, DiskState.DEPLOYED), said.err
    assert disk.read_bytes()[: len(IMAGE)] == IMAGE


class Broken:
    """A listener with a defect that shows at the end of the last step."""

    def handle(self, event: events.Event, _status: Status) -> None:
        if isinstance(event, events.StepFinished) and event.step == "activate":
            raise ZeroDivisionError


def full_while(monkeypatch: pytest.MonkeyPatch, condition: Callable[[Status], bool]) -> None:
    """The status file's file system is full while the condition holds."""
    real = status_file.write

    def write(path: Path, status: Status) -> None:
        if condition(status):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, status)

    monkeypatch.setattr(status_file, "write", write)


def test_no_room_for_the_status_while_writing(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full_while(monkeypatch, lambda status: status.step in ("fetch", "write"))
    assert command(*words).code == 0
    assert state_on_file(command) is DiskState.DEPLOYED
    assert "the status was not written: " in command.where.log.read_text()


def test_no_disk_is_overwritten_when_the_status_can_not_say_so(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch, disk: Path
) -> None:
    disk.write_bytes(b"x" * 4 * MIB)
    full_while(monkeypatch, lambda status: status.disk_touched)
    said = command(*words)
    assert (said.code, final(said)["message"]) == (3, "The status can not be written.")
    assert final(said)["diskTouched"] is False
    assert f"The disk {disk} was not changed." in said.err
    assert set(disk.read_bytes()) == set(b"x")
    assert state_on_file(command) is DiskState.UNTOUCHED


def test_no_room_for_the_first_status(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    full_while(monkeypatch, lambda _status: True)
    said = command(*words)
    assert (said.code, final(said)["message"]) == (3, "The status can not be written.")
    assert "No space left on device" in str(final(said)["detail"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("rebooting")
def test_a_signal_during_the_reboot(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(run, "reboot", lambda: signal.raise_signal(number))
    said = command(*words, "--reboot")
    assert (said.code, final(said)["status"]) == (0, "done")


class Impatient:
    """Presses Ctrl-C when a failure is told."""

    def handle(self, event: events.Event, _status: Status) -> None:
        if isinstance(event, events.Failed):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("first", [Refused("No.", detail="Why.", hint="What."), Interrupted(15, "SIGTERM")])
def test_ctrl_c_while_a_failure_is_told(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch, first: ExplainedError
) -> None:
    fail_with(first, monkeypatch)
    real = listeners_for
    monkeypatch.setattr(command_module, "listeners_for", lambda **more: [Impatient(), *real(**more)])
    said = command(*words)
    code = 143 if isinstance(first, Interrupted) else 3
    assert (said.code, final(said)["exitCode"], final(said)["message"]) == (code, code, first.message)
    assert first.hint in said.err
    assert said.err.count("Error: ") == 1
    status = status_file.read(command.where.status)
    assert status is not None
    assert status.message == first.message


def test_ctrl_c_while_the_lock_is_given_back(
    command: CommandLine, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def hold(path: Path) -> Iterator[None]:
        with real(path):
            yield
        signal.raise_signal(signal.SIGINT)

    real = run_lock.hold
    monkeypatch.setattr(run_lock, "hold", hold)
    fail_with(Refused("No.", detail="Why.", hint="What."), monkeypatch)
    said = command(*words)
    assert (said.code, final(said)["message"], said.err.count("Error: ")) == (3, "No.", 1)


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_ca_file_that_is_of_no_use(
    command: CommandLine, words: list[str], disk: Path, tmp_path: Path, content: bytes | None
) -> None:
    before, path = disk.read_bytes(), tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    said = command(*words, "--ca-file", str(path))
    assert said.code == 2
    assert final(said)["message"] == "The request is wrong: options.caFile is of no use."
    why = "No such file or directory" if content is None else "it holds no certificate in PEM form"
    assert final(said)["detail"] == f"{path}: {why}."
    long = command(*words, "--ca-file", "/" + "a" * 300)
    assert (long.code, final(long)["detail"]) == (2, f"/{'a' * 300}: File name too long.")
    assert disk.read_bytes() == before
