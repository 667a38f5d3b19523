"""The one gate for external commands: an argument list, a clean environment, limits, and an end.

Nothing in this project starts a process in any other way. Every command is logged so that it can be
pasted into a shell.
"""

import contextlib
import logging
import os
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from partitioning.errors import ExplainedError
from partitioning.package_manager import install_hint
from partitioning.tool_path import TOOL_PATH
from partitioning.tool_path import available as available

log = logging.getLogger(__name__)

_READ_SIZE = 65536
_STDERR_KEPT = 65536
_STDOUT_KEPT = 16 << 20
_KILL_WAIT = 10.0
_TERM_WAIT = 5.0
_READY_POLL = 0.02


class CommandError(ExplainedError):
    """An external command could not do its work."""


class CommandMissing(CommandError):
    """The tool is not installed."""

    def __init__(self, message: str, *, detail: str, hint: str, tool: str = "") -> None:
        """Keep which ``tool`` it is."""
        super().__init__(message, detail=detail, hint=hint)
        self.tool = tool


class CommandTimedOut(CommandError):
    """The command ran longer, or was silent longer, than it may."""


class OutputTooLong(CommandError):
    """The command printed more than anything it was asked for can be; it was stopped."""


class CommandFailed(CommandError):
    """The command ended with an exit code that means failure."""

    def __init__(self, message: str, *, detail: str, hint: str, code: int, stderr: str) -> None:
        """Keep the exit code and what the command wrote to standard error."""
        super().__init__(message, detail=detail, hint=hint)
        self.code = code
        self.stderr = stderr


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what a command may use, set by prlimit(1) before the command starts."""

    address_space: int | None = None
    """Bytes of virtual memory."""
    cpu_seconds: int | None = None

    def prefix(self) -> list[str]:
        """Give the words that stand before the command."""
        words = []
        if self.address_space is not None:
            words.append(f"--as={self.address_space}")
        if self.cpu_seconds is not None:
            words.append(f"--cpu={self.cpu_seconds}")
        return ["prlimit", *words, "--"] if words else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What a command that was let run to its end left behind."""

    code: int
    stdout: bytes
    stderr: str


@dataclass(slots=True)
class _Watch:
    """When to give up: a limit on the whole, and one on silence (seconds)."""

    timeout: float
    silence: float | None
    started: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)

    def remaining(self) -> float:
        now = time.monotonic()
        left = self.started + self.timeout - now
        return left if self.silence is None else min(left, self.heard + self.silence - now)


def as_nobody() -> list[str]:
    """Give the words before a command that reads what may be hostile: it runs without any rights.

    Only root can become somebody else; for others it can at least gain nothing.
    """
    identity = ("--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    return ["setpriv", *(identity if os.geteuid() == 0 else ()), "--no-new-privs", "--"]


def require(tool: str, detail: str) -> None:
    """Raise CommandMissing, with ``detail`` saying what for, where ``tool`` is not installed."""
    if not available(tool):
        raise CommandMissing(
            f"The tool {tool} is not installed.",
            detail=detail,
            hint=install_hint([tool]),
            tool=tool,
        )


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    silence: float | None = None,
    ok_codes: Sequence[int] = (0,),
    pass_fds: Sequence[int] = (),
    limits: Limits | None = None,
    stdin: bytes = b"",
    on_stdout: Callable[[bytes], None] | None = None,
    most_stdout: int = _STDOUT_KEPT,
) -> Completed:
    """Run a command to its end and return what it printed.

    ``timeout`` bounds the whole run and ``silence`` the time without output, both in seconds.
    ``on_stdout`` is called with each piece of standard output as it comes; then ``stdout`` stays empty.
    ``stdin`` has to be small (it is written in one go before anything is read).
    Without it, at most ``most_stdout`` bytes may come. Raises CommandMissing, CommandTimedOut, OutputTooLong,
    and CommandFailed for an exit code not in ``ok_codes``.
    """
    full = [*(limits or Limits()).prefix(), *argv]
    for tool in (full[0], argv[0]):
        require(tool, f"It is needed to run: {shlex.join(argv)}")
    log.info("running: %s", _shown(full))
    process = subprocess.Popen(
        full,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=tuple(pass_fds),
        env=_environment(),
        start_new_session=True,
    )
    try:
        _feed(process, stdin)
        completed = _collect(process, _Watch(timeout, silence), argv, on_stdout, most_stdout)
    finally:
        _kill(process)
    if completed.code not in ok_codes:
        raise _failure(argv, completed)
    return completed


@contextmanager
def running(
    argv: Sequence[str],
    *,
    ready: Callable[[], bool],
    timeout: float,
    pass_fds: Sequence[int] = (),
    limits: Limits | None = None,
) -> Iterator[None]:
    """Keep a command running for the time of the block; it begins when ``ready`` says so.

    The command gets SIGTERM at the end, and also when this process dies. ``timeout`` bounds the start, in
    seconds. Raises CommandMissing, CommandTimedOut, and CommandFailed where it ends before it is ready.
    """
    full = ["setpriv", "--pdeathsig", "TERM", "--", *(limits or Limits()).prefix(), *argv]
    for tool in (full[0], argv[0]):
        require(tool, f"It is needed to run: {shlex.join(argv)}")
    log.info("running meanwhile: %s", _shown(full))
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            full,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=tuple(pass_fds),
            env=_environment(),
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, ready, _Watch(timeout, None), argv, said)
            yield
        finally:
            _end(process)


def start_apart(
    argv: Sequence[str], *, stdin: bytes, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a command that goes on when this process ends, in a session of its own; what it prints is lost.

    It gets ``stdin``, of any size, and ``environment`` as it is. Whoever starts it has to wait for it, or its
    entry stays in the table of processes for as long as this one lives. Raises CommandError.
    """
    log.info("starting: %s", _shown(argv))
    try:
        with os.fdopen(os.memfd_create("stdin"), "w+b") as given:
            given.write(stdin)
            given.seek(0)
            return subprocess.Popen(
                argv,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=dict(environment),
                cwd="/",
                start_new_session=True,
            )
    except OSError as error:
        raise CommandError(
            f"The command {argv[0]} could not be started.",
            detail=f"{os.strerror(error.errno or 0)}: {_shown(argv)}",
            hint="See whether this system is short of memory or of processes, then try again.",
        ) from None


def _shown(argv: Sequence[str]) -> str:
    # A word may come from an image, and must not move the cursor of the terminal that shows the log.
    return "".join(letter if letter.isprintable() else "?" for letter in shlex.join(argv))


def _wait_until_ready(
    process: subprocess.Popen[bytes],
    ready: Callable[[], bool],
    watch: _Watch,
    argv: Sequence[str],
    said: IO[bytes],
) -> None:
    while not ready():
        code = process.poll()
        if code is not None:
            said.seek(0)
            words = said.read(_STDERR_KEPT).decode(errors="replace").strip()
            raise _failure(argv, Completed(code=code, stdout=b"", stderr=words))
        if watch.remaining() <= 0:
            raise _timed_out(argv, watch)
        time.sleep(_READY_POLL)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.terminate()
        process.wait(_TERM_WAIT)
    _kill(process)


def _environment() -> dict[str, str]:
    # qemu-img keeps an arena per thread without the last one, and then runs into its memory limit.
    return {"PATH": TOOL_PATH, "LC_ALL": "C.UTF-8", "LVM_SUPPRESS_FD_WARNINGS": "1", "MALLOC_ARENA_MAX": "3"}


def _feed(process: subprocess.Popen[bytes], data: bytes) -> None:
    pipe = _pipe(process.stdin)
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(data)


def _collect(
    process: subprocess.Popen[bytes],
    watch: _Watch,
    argv: Sequence[str],
    on_stdout: Callable[[bytes], None] | None,
    most: int,
) -> Completed:
    out, err = bytearray(), bytearray()

    def keep(piece: bytes) -> None:
        if len(out) + len(piece) > most:
            raise _too_long(argv, most)
        out.extend(piece)

    def take_stderr(piece: bytes) -> None:
        err.extend(piece)
        del err[:-_STDERR_KEPT]

    stdout, stderr = _pipe(process.stdout), _pipe(process.stderr)
    with selectors.DefaultSelector() as selector, stdout, stderr:
        selector.register(stdout, selectors.EVENT_READ, on_stdout or keep)
        selector.register(stderr, selectors.EVENT_READ, take_stderr)
        while selector.get_map():
            ready = selector.select(max(0.0, watch.remaining()))
            if not ready and watch.remaining() <= 0:
                raise _timed_out(argv, watch)
            for key, _ in ready:
                piece = os.read(key.fd, _READ_SIZE)
                watch.heard = time.monotonic()
                key.data(piece) if piece else selector.unregister(key.fileobj)
    try:
        code = process.wait(max(0.1, watch.remaining()))
    except subprocess.TimeoutExpired:
        raise _timed_out(argv, watch) from None
    return Completed(code=code, stdout=bytes(out), stderr=err.decode(errors="replace").strip())


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise AssertionError("the process was started with a pipe here")
    return stream


def _kill(process: subprocess.Popen[bytes]) -> None:
    # Not poll(): the command itself may have ended, and one that it has started still runs. As long as
    # nobody has waited for it, the number is taken, and the group is the right one.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # A process that waits on a dead disk ignores even SIGKILL; the agent must not wait with it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_KILL_WAIT)


def _timed_out(argv: Sequence[str], watch: _Watch) -> CommandTimedOut:
    seconds = time.monotonic() - watch.started
    return CommandTimedOut(
        f"The command {argv[0]} did not end in time.",
        detail=f"It was stopped after {seconds:.0f} s: {shlex.join(argv)}",
        hint="Look for a disk or a mount that no longer answers (dmesg), then try again.",
    )


def _too_long(argv: Sequence[str], most: int) -> OutputTooLong:
    return OutputTooLong(
        f"The command {argv[0]} printed more than it can have to say.",
        detail=f"It was stopped after {most} bytes: {shlex.join(argv)}",
        hint="Run the command by hand to see what it prints.",
    )


def _failure(argv: Sequence[str], completed: Completed) -> CommandFailed:
    how = f"signal {-completed.code}" if completed.code < 0 else f"exit code {completed.code}"
    said = completed.stderr or "it said nothing on standard error"
    return CommandFailed(
        f"The command {argv[0]} failed ({how}).",
        detail=f"{shlex.join(argv)}: {said}",
        hint="Run the command by hand to see more.",
        code=completed.code,
        stderr=completed.stderr,
    )
