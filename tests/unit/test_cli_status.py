import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import run_lock
from agent.cli import cancel, status
from agent.exit_codes import ExitCode
from agent.reporting import events, status_file
from agent.reporting.status_change import apply
from agent.run_directory import ENVIRONMENT_VARIABLE, run_directory
from agent.status import DiskStatus, Progress, State, Status, StepState, StepStatus
from tests.unit.test_cli_common import CommandLine, command

__all__ = ["command"]

DISK = DiskStatus(path="/dev/sda", size=1 << 30)
DOING = Status(
    servername="ns1", message="Writing", started_at="2026-01-01T00:00:00Z", disk=DISK, checksum="ab"
)
DONE = DOING.model_copy(update={"status": State.DONE, "message": "done"})
WHEN = "  Deployment, started 2026-01-01T00:00:00Z"
FAILED = apply(
    events.Failed("Can't write raw on disk.", "Why.", "What.", ExitCode.WRITE_FAILED),
    DOING.model_copy(update={"disk_touched": True, "warnings": ("Careful.",)}),
)

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
    progress = Progress(bytes_done=1 << 20, bytes_total=4 << 20)
    status_file.write(command.where.status, DONE.model_copy(update={"progress": progress}))
    expected = ["ns1: done", WHEN, "  1.0 MiB of 4.0 MiB (25 %)", "  The disk /dev/sda was deployed."]
    assert command("status").out.splitlines() == expected


def test_words_of_a_failure_for_people(command: CommandLine) -> None:
    status_file.write(command.where.status, FAILED)
    assert (command("status").code, command("status").out.splitlines()) == (
        0,
        [
            "ns1: error: Can't write raw on disk.",
            f"{WHEN}, finished {FAILED.finished_at}",
            "  Why.",
            "  The disk /dev/sda was changed and does not boot.",
            "  Warning: Careful.",
            "  What to do: What.",
        ],
    )


def looks(patch: pytest.MonkeyPatch, *shown: Status | None) -> None:
    """Have the status be ``shown``, one after the other."""
    left = iter(shown)
    patch.setattr(status, "status_now", lambda _where: next(left))
    patch.setattr(status, "_POLL", 0)


def test_following_ends_with_the_deployment(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (StepStatus(name="write", state=StepState.DONE, seconds=61.2), StepStatus(name="flush"))
    writing = DOING.model_copy(update={"step": "write", "warnings": ("Careful.",)})
    further = writing.model_copy(update={"message": "Flushing", "step": "flush", "steps": steps})
    looks(monkeypatch, DOING, DOING, writing, further, further, DONE.model_copy(update={"steps": steps}))
    said = command("status", "--follow")
    assert (said.code, said.out.splitlines()) == (
        0,
        [
            "Writing ...",
            "Warning: Careful.",
            "  done in 61.2 s",
            "Flushing ...",
            "Done: the image is on /dev/sda.",
        ],
    )


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_following_a_deployment_that_fails(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    looks(monkeypatch, DOING, FAILED)
    said = command("status", "--follow", *words)
    assert (said.code, said.err) == (5, "")
    if words:
        assert [json.loads(line)["status"] for line in said.out.splitlines()] == ["doing", "error"]
    else:
        assert "Error: Can't write raw on disk.\n  Why.\n  The disk /dev/sda was changed and does" in said.out
        assert said.out.endswith("  What to do: What.\n")


def test_progress_is_followed(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[events.Event] = []

    class Notes:
        def handle(self, event: events.Event, _status: Status) -> None:
            told.append(event)

        def close(self) -> None:
            told.append(events.Note("closed"))

    monkeypatch.setattr(status, "listener_for_people", lambda _stream: Notes())
    moved = [
        DOING.model_copy(update={"step": "write", "progress": Progress(bytes_done=done)})
        for done in (1, 1, 2)
    ]
    looks(monkeypatch, *moved, DONE)
    assert command("status", "--follow").code == 0
    done = [event.progress.bytes_done for event in told if isinstance(event, events.Progressed)]
    assert done == [1, 2]
    assert told[-2:] == [events.Finished(), events.Note("closed")]


def test_a_status_of_before_is_not_the_end(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    new = DOING.model_copy(update={"started_at": "2026-01-01T00:00:09Z"})
    looks(monkeypatch, DONE, DONE, new, new.model_copy(update={"status": State.DONE}))
    held = iter([True, True, False])
    monkeypatch.setattr(run_lock, "is_held", lambda _path: next(held))
    said = command("status", "--follow")
    assert (said.code, said.out.splitlines()) == (0, ["Writing ...", "Done: the image is on /dev/sda."])


def test_another_deployment_is_not_taken_for_the_one_that_is_watched(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks(monkeypatch, DOING, DOING.model_copy(update={"started_at": "2026-01-01T00:00:09Z"}))
    said = command("status", "--follow")
    assert (said.code, "Another deployment has begun." in said.err) == (3, True)


@pytest.mark.parametrize("words", [["--json"], []])
def test_nobody_reads(tmp_path: Path, words: list[str]) -> None:
    status_file.write(tmp_path / "status.json", DOING)
    environment = {"BYOI_AGENT_RUN_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    argv = [sys.executable, "-m", "agent", "status", "--follow", *words]
    reading, writing = os.pipe()
    os.close(reading)
    with deployment(tmp_path / "lock"):
        done = subprocess.run(argv, env=environment, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert done.returncode == 3
    assert b"The deployment goes on." in done.stderr


def test_a_status_that_can_not_be_read_after_cancelling(command: CommandLine) -> None:
    command.where.status.write_text("{")
    with deployment(command.where.lock) as process:
        said = command("cancel")
        assert process.wait(10) == -signal.SIGTERM
    assert said.code == 0
    assert said.out.startswith("The deployment was stopped. What state the disk is in can not be told: ")


def test_the_same_line_is_not_written_twice(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = [DOING.model_copy(update={"progress": Progress(bytes_done=done)}) for done in (1, 2, 3)]
    looks(monkeypatch, *moved, DONE, *moved, DONE)
    assert command("status", "--follow", "--json").out.count("\n") == 2
    assert command("status", "--follow", "--json", "--full").out.count("\n") == 4


def test_no_longer_following(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_seconds: float) -> None:
        raise KeyboardInterrupt

    looks(monkeypatch, DOING)
    monkeypatch.setattr("time.sleep", stop)
    said = command("status", "--follow")
    assert (said.code, said.err) == (130, "\nNo longer watching; the deployment goes on.\n")


def test_all_fields_are_json(command: CommandLine) -> None:
    said = command("status", "--full")
    assert (said.code, said.out) == (2, "")
    assert "--full goes with --json." in said.err


def test_without_following_once_is_enough(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    looks(monkeypatch, DOING)
    assert command("status").out == f"ns1: doing: Writing\n{WHEN}\n  The disk /dev/sda was not changed.\n"


def test_nothing_to_cancel(command: CommandLine) -> None:
    said = command("cancel")
    assert (said.code, said.out) == (3, "")
    assert said.err.startswith("Error: No deployment is running.\n")


@pytest.mark.parametrize(
    ("left", "outcome"),
    [
        (None, "The deployment was stopped. No disk was changed."),
        (DOING, "The deployment was stopped. The disk /dev/sda was not changed."),
        (
            DOING.model_copy(update={"disk_touched": True}),
            "The deployment was stopped. The disk /dev/sda was changed and does not boot.",
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


def test_cancelling_one_that_is_suspended(command: CommandLine) -> None:
    with deployment(command.where.lock) as process:
        process.send_signal(signal.SIGSTOP)
        assert command("cancel").code == 0
        assert process.wait(10) == -signal.SIGTERM


def test_a_deployment_whose_process_can_not_be_told(command: CommandLine) -> None:
    with deployment(command.where.lock) as process:
        command.where.lock.write_bytes(b"")
        said = command("cancel")
        assert process.poll() is None
    assert (said.code, "can not be stopped now" in said.err) == (3, True)


def test_nothing_in_a_status_moves_the_cursor(command: CommandLine) -> None:
    status_file.write(command.where.status, DONE.model_copy(update={"servername": "a\x1b[2Jb"}))
    assert command("status").out.startswith("a?[2Jb: done\n")


def test_a_deployment_that_does_not_end(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancel, "PATIENCE", 0.1)
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
