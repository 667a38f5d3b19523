import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import run_lock
from agent.cli import cancel, status
from agent.reporting import status_file
from agent.run_directory import ENVIRONMENT_VARIABLE, run_directory
from agent.status import DiskStatus, Progress, State, Status
from tests.unit.test_cli_common import CommandLine, command

__all__ = ["command"]

DISK = DiskStatus(path="/dev/sda", size=1 << 30)
DOING = Status(
    servername="ns1", message="Writing", started_at="2026-01-01T00:00:00Z", disk=DISK, checksum="ab"
)
DONE = DOING.model_copy(update={"status": State.DONE, "message": "done"})

# Holds the lock as a deployment does, says so, and ends when standard input does.
HOLDER = """
import signal, sys
from pathlib import Path
from agent import run_lock
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with run_lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def deployment(lock: Path, *words: str) -> "Iterator[subprocess.Popen[bytes]]":
    """Another process that holds the lock."""
    argv = [sys.executable, "-c", HOLDER, str(lock), *words]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def test_no_deployment(command: CommandLine) -> None:
    for words in (["status"], ["status", "--json"], ["status", "--follow"]):
        said = command(*words)
        assert (said.code, bool(said.out)) == (3, "--json" in words)
        assert said.err.startswith("Error: There is no deployment on this server.\n")


def test_the_four_documented_fields(command: CommandLine) -> None:
    status_file.write(command.where.status, DONE)
    said = command("status", "--json")
    assert (said.code, said.err) == (0, "")
    expected = {"servername": "ns1", "status": "done", "message": "done", "checksum": "ab"}
    assert json.loads(said.out) == expected
    assert said.out.count("\n") == 1


def test_all_fields(command: CommandLine) -> None:
    status_file.write(command.where.status, DONE)
    assert json.loads(command("status", "--json", "--full").out) == DONE.full()


def test_words_for_people(command: CommandLine) -> None:
    more = {"detail": "Why.", "hint": "What.", "progress": Progress(bytes_done=1 << 20, bytes_total=4 << 20)}
    status_file.write(command.where.status, DONE.model_copy(update=more))
    assert command("status").out == "ns1: done: done\n  1.0 MiB of 4.0 MiB (25 %), 0 B/s\n  Why.\n  What.\n"


def test_following_ends_with_the_deployment(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    further = DOING.model_copy(update={"message": "Flushing"})
    shown = iter([DOING, DOING, further, further, DONE])
    monkeypatch.setattr(status, "status_now", lambda _where: next(shown))
    monkeypatch.setattr(status, "_POLL", 0)
    lines = command("status", "--follow").out.splitlines()
    assert lines == ["ns1: doing: Writing", "ns1: doing: Flushing", "ns1: done: done"]


def test_without_following_once_is_enough(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "status_now", lambda _where: DOING)
    assert command("status").out == "ns1: doing: Writing\n"


def test_nothing_to_cancel(command: CommandLine) -> None:
    said = command("cancel")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("Error: No deployment is running.\n")


@pytest.mark.parametrize(
    ("left", "outcome"),
    [
        (None, "The deployment was stopped. The disk was not changed."),
        (DOING, "The deployment was stopped. The disk was not changed."),
        (
            DOING.model_copy(update={"disk_touched": True}),
            "The deployment was stopped. The disk was changed and does not boot.",
        ),
        (DONE, "The deployment was done before it could be stopped."),
    ],
)
def test_cancelling(command: CommandLine, left: Status | None, outcome: str) -> None:
    if left is not None:
        status_file.write(command.where.status, left)
    with deployment(command.where.lock) as process:
        said = command("cancel")
        assert process.wait(10) == -signal.SIGTERM
    assert (said.code, said.out) == (0, f"{outcome}\n")


def test_a_deployment_whose_process_can_not_be_told(command: CommandLine) -> None:
    with deployment(command.where.lock) as process:
        command.where.lock.write_bytes(b"")
        said = command("cancel")
        assert process.poll() is None
    assert (said.code, "can not be stopped now" in said.err) == (3, True)


def test_nothing_in_a_status_moves_the_cursor(command: CommandLine) -> None:
    status_file.write(command.where.status, DONE.model_copy(update={"servername": "a\x1b[2Jb"}))
    assert command("status").out == "a?[2Jb: done: done\n"


def test_a_deployment_that_does_not_end(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel, "_PATIENCE", 0.1)
    with deployment(command.where.lock, "stubborn") as process:
        said = command("cancel")
        assert process.poll() is None
    assert (said.code, said.out) == (3, "")
    assert f"kill -9 {process.pid}" in said.err


def test_a_deployment_that_has_just_ended(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_pid: int, _signal: int) -> None:
        monkeypatch.setattr(run_lock, "owner", lambda _path: None)
        raise ProcessLookupError

    monkeypatch.setattr(run_lock, "owner", lambda _path: 4_000_000)
    monkeypatch.setattr("os.kill", gone)
    status_file.write(command.where.status, DONE)
    assert command("cancel").code == 0


def no_environment(patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    patch.delenv("XDG_RUNTIME_DIR", raising=False)
    patch.setenv("HOME", str(home))
    patch.setattr("os.geteuid", lambda: 1000)


def test_where_a_deployment_leaves_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_environment(monkeypatch, tmp_path)
    assert run_directory().path == tmp_path / ".local/state/byoi-agent"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    assert run_directory().path == tmp_path / "runtime/byoi-agent"
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "named"))
    assert run_directory().path == tmp_path / "named"


def test_roots_run_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(Path, "mkdir", lambda path, **_: made.append(path))
    assert run_directory().path == Path("/run/byoi-agent")
    assert made == [Path("/run/byoi-agent")]


def test_the_run_directory_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "a/run"))
    where = run_directory()
    assert where.path.stat().st_mode & 0o777 == 0o700
    assert {where.status.parent, where.lock.parent, where.log.parent} == {where.path}
    assert [path.name for path in (where.status, where.lock, where.log)] == ["status.json", "lock", "log"]
