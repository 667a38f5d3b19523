import logging
import os
import re
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from agent.errors import Interrupted
from partitioning import command
from partitioning.command import (
    CommandFailed,
    CommandMissing,
    CommandTimedOut,
    Completed,
    Limits,
    OutputTooLong,
    available,
    run,
    running,
)
from partitioning.packages import package_of
from tests.misbehaving_server import wait_until

LONG = 60.0
MIB = 1 << 20


def shell(script: str, **more: object) -> Completed:
    return run(["sh", "-c", script], **({"timeout": LONG} | more))  # type: ignore[arg-type]


def lives(pid: int) -> bool:
    """Whether a process is there and is no zombie that waits for an init to take it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


class Clock:
    """The real clock, until it is put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(command, "time", clock)
    return clock


class Pids:
    """Takes the process numbers that a command prints, and lets so much time pass with each line."""

    def __init__(self, clock: Clock | None = None, seconds: float = 2 * LONG) -> None:
        self.printed = b""
        self._clock = clock
        self._seconds = seconds

    def __call__(self, piece: bytes) -> None:
        self.printed += piece
        if self._clock:
            self._clock.ahead += self._seconds

    @property
    def found(self) -> list[int]:
        return [int(word) for word in self.printed.split()]

    def assert_gone(self, count: int) -> None:
        assert len(self.found) == count
        wait_until(lambda: not any(map(lives, self.found)))


def test_what_a_command_prints() -> None:
    done = shell("echo out; echo ' err ' >&2")
    assert (done.code, done.stdout, done.stderr) == (0, b"out\n", "err")


def test_words_are_no_shell() -> None:
    words = ["a b", "$HOME", ";", "`id`", "*", ""]
    assert run(["printf", "%s|", *words], timeout=LONG).stdout.decode() == "|".join(words) + "|"


def test_an_exit_code_that_means_failure() -> None:
    with pytest.raises(CommandFailed) as caught:
        shell("echo broken >&2; exit 3")
    assert (caught.value.code, caught.value.stderr) == (3, "broken")
    assert caught.value.message == "The command sh failed (exit code 3)."
    assert caught.value.detail == "sh -c 'echo broken >&2; exit 3': broken"


def test_a_failure_without_words() -> None:
    with pytest.raises(CommandFailed, match="it said nothing on standard error"):
        run(["false"], timeout=LONG)


def test_an_exit_code_that_is_expected() -> None:
    assert shell("exit 3", ok_codes=(0, 3)).code == 3
    with pytest.raises(CommandFailed):
        shell("exit 0", ok_codes=(3,))


def test_a_command_that_a_signal_ended() -> None:
    with pytest.raises(CommandFailed) as caught:
        shell("kill -SEGV $$")
    assert caught.value.code == -signal.SIGSEGV
    assert caught.value.message == "The command sh failed (signal 11)."


@pytest.mark.parametrize(
    ("argv", "limits", "missing"),
    [
        (["no-such-tool", "a b"], None, "no-such-tool"),
        (["no-such-tool"], Limits(cpu_seconds=1), "no-such-tool"),
        (["true"], Limits(cpu_seconds=1), "prlimit"),
    ],
)
def test_a_tool_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], limits: Limits | None, missing: str
) -> None:
    monkeypatch.setattr(command, "available", lambda tool: tool != missing)
    with pytest.raises(CommandMissing) as caught:
        run(argv, timeout=LONG, limits=limits)
    assert caught.value.message == f"The tool {missing} is not installed."
    assert shlex.join(argv) in caught.value.detail
    assert caught.value.hint.startswith("Install what is missing: ")
    assert package_of(missing) in caught.value.hint


def test_what_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "own-tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert available("sh")
    assert not available("own-tool")
    with pytest.raises(CommandMissing):
        run(["own-tool"], timeout=LONG)


def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/nonsense")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    found = dict(line.split("=", 1) for line in run(["env"], timeout=LONG).stdout.decode().splitlines())
    assert "/usr/sbin" in found.pop("PATH").split(":")
    assert found == {"LC_ALL": "C.UTF-8", "LVM_SUPPRESS_FD_WARNINGS": "1", "MALLOC_ARENA_MAX": "3"}


def test_it_is_logged_so_that_it_can_be_pasted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "partitioning.command"):
        run(["printf", "%s", "a b"], timeout=LONG, limits=Limits(cpu_seconds=9))
    assert caplog.messages == ["running: prlimit --cpu=9 -- printf %s 'a b'"]


def test_the_log_can_not_write_on_the_terminal(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "partitioning.command"):
        done = run(["printf", "%s", "(hd0)\x1b[2J\r\nHD"], timeout=LONG)
        with running(["sleep", "60\n"], ready=lambda: True, timeout=LONG):
            pass
    assert done.stdout == b"(hd0)\x1b[2J\r\nHD"
    assert caplog.messages == [
        "running: printf %s '(hd0)?[2J??HD'",
        "running meanwhile: setpriv --pdeathsig TERM -- sleep '60?'",
    ]


def test_output_that_is_longer_than_a_pipe() -> None:
    done = shell("yes out | head -c 1000000; yes err | head -c 1000000 >&2")
    assert done.stdout == (b"out\n" * 250_000)
    assert len(done.stderr) in (65535, 65536)


def test_output_in_pieces() -> None:
    pieces: list[bytes] = []
    done = shell("yes | head -c 300000; echo err >&2", on_stdout=pieces.append)
    assert (b"".join(pieces), done.stdout, done.stderr) == (b"y\n" * 150_000, b"", "err")
    assert len(pieces) > 1


def test_output_that_is_no_utf_8() -> None:
    assert shell(r"printf '\377x' >&2").stderr == "\ufffdx"


def test_standard_input() -> None:
    assert run(["cat"], timeout=LONG, stdin=b"a\0b").stdout == b"a\0b"
    assert run(["cat"], timeout=LONG).stdout == b""
    assert run(["true"], timeout=LONG, stdin=bytes(60_000)).code == 0


def test_descriptors_are_passed_only_where_asked(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        file.write(b"content")
        file.flush()
        words = ["cat", f"/proc/self/fd/{file.fileno()}"]
        assert run(words, timeout=LONG, pass_fds=[file.fileno()]).stdout == b"content"
        os.set_inheritable(file.fileno(), True)
        with pytest.raises(CommandFailed):
            run(words, timeout=LONG)


def test_the_terminals_signals_do_not_reach_it() -> None:
    pid, session = shell('cut -d " " -f 1,6 /proc/$$/stat').stdout.split()
    assert pid == session


def test_limits_are_set() -> None:
    limits = Limits(address_space=512 * MIB, cpu_seconds=77)
    assert shell("ulimit -v; ulimit -t", limits=limits).stdout.split() == [str(512 << 10).encode(), b"77"]
    assert Limits().prefix() == []


def test_a_command_that_wants_more_memory_than_it_may() -> None:
    words = ["dd", "if=/dev/zero", "of=/dev/null", "bs=512M", "count=1"]
    with pytest.raises(CommandFailed, match="memory exhausted"):
        run(words, timeout=LONG, limits=Limits(address_space=256 * MIB))


def test_a_command_that_prints_without_end() -> None:
    with pytest.raises(OutputTooLong) as caught:
        shell("exec cat /dev/zero")
    assert caught.value.message == "The command sh printed more than it can have to say."
    assert f"stopped after {16 * MIB} bytes" in caught.value.detail
    assert len(shell("head -c 16777216 /dev/zero").stdout) == 16 * MIB
    with pytest.raises(OutputTooLong):
        shell("head -c 16777217 /dev/zero")


def test_what_a_listener_takes_may_be_long() -> None:
    sizes: list[int] = []
    assert shell("head -c 20000000 /dev/zero", on_stdout=lambda piece: sizes.append(len(piece))).code == 0
    assert sum(sizes) == 20_000_000


def test_a_command_that_does_not_end(clock: Clock) -> None:
    pids = Pids(clock)
    with pytest.raises(CommandTimedOut) as caught:
        shell("echo $$; exec sleep 60", on_stdout=pids)
    assert caught.value.message == "The command sh did not end in time."
    assert re.search(r"stopped after 12\d s: sh -c 'echo \$\$; exec sleep 60'", caught.value.detail)
    pids.assert_gone(1)


def test_a_command_that_closes_its_output_and_does_not_end() -> None:
    with pytest.raises(CommandTimedOut):
        shell("exec >&- 2>&-; exec sleep 60", timeout=0.2)


def test_a_command_that_falls_silent(clock: Clock) -> None:
    pids = Pids(clock, LONG / 2)
    with pytest.raises(CommandTimedOut):
        shell("echo $$; exec sleep 60", silence=LONG / 3, on_stdout=pids)
    pids.assert_gone(1)


def test_a_command_that_speaks_is_not_silent(clock: Clock) -> None:
    pids = Pids(clock, LONG / 2)
    script = "for i in 1 2 3; do sleep 0.02; echo $i; done"
    assert shell(script, timeout=9 * LONG, silence=LONG * 3 / 4, on_stdout=pids).code == 0
    assert clock.ahead == 3 * LONG / 2


def test_words_for_people_are_no_silence_either() -> None:
    assert shell("for i in 1 2 3 4 5 6 7 8; do sleep 0.1; echo >&2; done", silence=0.7).code == 0


def test_what_a_command_has_started_ends_with_it(clock: Clock) -> None:
    pids = Pids(clock)
    with pytest.raises(CommandTimedOut):
        shell("sleep 60 & echo $! $$; wait", on_stdout=pids)
    pids.assert_gone(2)


def test_what_a_command_has_left_behind_ends_too(clock: Clock) -> None:
    pids = Pids(clock)
    with pytest.raises(CommandTimedOut):
        shell("sleep 60 & echo $!", on_stdout=pids)
    pids.assert_gone(1)


def test_an_error_of_the_listener_ends_the_command() -> None:
    pids = Pids()

    def fail(piece: bytes) -> None:
        pids(piece)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        shell("echo $$; exec sleep 60", on_stdout=fail)
    pids.assert_gone(1)


@contextmanager
def alarm_that_raises() -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted(signal.SIGTERM, "SIGTERM")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_ends_the_command() -> None:
    pids = Pids()

    def take(piece: bytes) -> None:
        pids(piece)
        signal.setitimer(signal.ITIMER_REAL, 0.05)

    started = time.monotonic()
    with alarm_that_raises(), pytest.raises(Interrupted):
        shell("echo $$; exec sleep 60", on_stdout=take)
    assert time.monotonic() - started < LONG / 2
    pids.assert_gone(1)
