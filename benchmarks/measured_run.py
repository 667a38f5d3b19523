"""Runs a command and measures the whole of it: time, CPU seconds, peak memory, with all its processes."""

import ctypes
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_SAMPLE = 0.02
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LIMIT = 3600.0
_KEPT_CHARACTERS = 2000
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class RunFailed(Exception):
    """A command that was to be measured failed; the text ends with what it said last."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one run took, all its processes together."""

    seconds: float
    cpu_seconds: float
    peak_memory: int
    """Bytes: memory of all processes that no file backs, and what lies in RAM-backed files (memfd, tmpfs)."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What is to be measured, and where."""

    argv: Sequence[str]
    cpus: Sequence[int]
    """The CPUs it may use."""
    log: Path
    """Gets what it prints."""
    environment: Mapping[str, str] = field(default_factory=dict)


def measure(command: Command, finish: Callable[[], None]) -> Usage:
    """Run it until its last process has ended; then ``finish``, the time of which counts too.

    Raises RunFailed when the command does not end with 0, or has not ended after an hour.
    """
    _adopt_orphans()
    others = _children(os.getpid())
    shared_before = _shared_memory()
    with command.log.open("wb") as log:
        started = time.monotonic()
        process = subprocess.Popen(
            ["taskset", "--cpu-list", ",".join(map(str, command.cpus)), *command.argv],
            env={**os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        watched = _Watched(process, others, shared_before)
        watched.to_the_end()
        finish()
        seconds = time.monotonic() - started
    if process.returncode:
        said = command.log.read_text(errors="replace")[-_KEPT_CHARACTERS:].strip()
        raise RunFailed(f"exit code {process.returncode}: {said}")
    return Usage(seconds=seconds, cpu_seconds=watched.cpu_seconds, peak_memory=watched.peak)


class _Watched:
    """A process with all that come from it: those that outlive their parents are this process's children."""

    def __init__(self, process: subprocess.Popen[bytes], others: set[int], shared_before: int) -> None:
        self._process = process
        self._others = others
        self._shared_before = shared_before
        self._deadline = time.monotonic() + _LIMIT
        self.cpu_seconds = 0.0
        self.peak = 0

    def to_the_end(self) -> None:
        try:
            self._first_one()
            self._those_left()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            raise

    def _first_one(self) -> None:
        first = os.pidfd_open(self._process.pid)
        try:
            while not select.select([first], [], [], _SAMPLE)[0]:
                self._sample()
        finally:
            os.close(first)

    def _those_left(self) -> None:
        while running := _children(os.getpid()) - self._others:
            self._sample()
            if not any(self._reap(pid) for pid in running):
                time.sleep(_SAMPLE)

    def _reap(self, pid: int) -> bool:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if not ended:
            return False
        self.cpu_seconds += usage.ru_utime + usage.ru_stime
        if pid == self._process.pid:
            self._process.returncode = os.waitstatus_to_exitcode(status)
        return True

    def _sample(self) -> None:
        private = sum(_private_memory(pid) for pid in _children(os.getpid()) - self._others)
        if time.monotonic() > self._deadline:
            raise RunFailed(f"no end after {_LIMIT:.0f} s")
        self.peak = max(self.peak, private + max(0, _shared_memory() - self._shared_before))


def _adopt_orphans() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children(pid: int) -> set[int]:
    """The children of a process, whichever of its threads has started them."""
    found: set[int] = set()
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found.update(map(int, (task / "children").read_text().split()))
    except OSError:
        pass  # it has ended
    return found


def _private_memory(pid: int) -> int:
    """Bytes in memory that no file backs, of a process and of all that come from it."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text().split()
    except OSError:
        return 0
    own = (int(fields[1]) - int(fields[2])) * _PAGE
    return own + sum(_private_memory(child) for child in _children(pid))


def _shared_memory() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Shmem:"))
