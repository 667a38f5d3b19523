"""One deployment at a time: a lock that ends with its process, however that ends."""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.errors import AlreadyRunning
from agent.run_directory import unusable

_PATIENCE = 1.0
_POLL = 0.05
_LOCKS = Path("/proc/locks")


@dataclass(frozen=True, slots=True)
class Held:
    """The lock while this process has it."""

    fd: int

    def outlive(self, seconds: float) -> None:
        """Let nobody have it for so many seconds, or until the system ends, although this process does."""
        if os.fork() == 0:
            _keep(self.fd, seconds)


@contextmanager
def hold(path: Path, *, signed: bool = True) -> Iterator[Held]:
    """Hold the lock at ``path``; AlreadyRunning when another process does. Raises Refused, too.

    One that is not ``signed`` tells nobody which process has it, so none is told to end.
    """
    fd = _opened(path)
    try:
        # Someone who only looks at the lock holds it for a moment, too.
        if not _until(lambda: _try(fd, fcntl.LOCK_EX), _PATIENCE):
            raise _already_running(path)
        try:
            _sign(fd, path, str(os.getpid()) if signed else "")
            yield Held(fd)
        finally:
            # Whoever holds it next must not be taken for this process.
            with contextlib.suppress(OSError):
                os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(path, error) from None


def _keep(fd: int, seconds: float) -> None:
    """Sleep with the lock, in a process that has nothing else of the one it comes from; never returns."""
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.chdir("/")
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nothing, standard)
        os.closerange(3, fd)
        os.closerange(fd + 1, os.sysconf("SC_OPEN_MAX"))
        time.sleep(seconds)
    finally:
        os._exit(0)


def _sign(fd: int, path: Path, name: str) -> None:
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, name.encode(), 0)
    except OSError as error:
        raise unusable(path, error) from None


def is_held(path: Path) -> bool:
    """Tell whether a deployment holds the lock."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unusable(path, error) from None
    try:
        return not _try(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def owner(path: Path) -> int | None:
    """Give the process id of the deployment that holds the lock; None when none does or it can not be told.

    Between taking the lock and signing it, its file may still name a process that was killed.
    """
    if not is_held(path):
        return None
    text = path.read_bytes()[:32]
    if not text.isdigit():
        return None
    holders = _holders(path.stat().st_ino)
    return int(text) if not holders or int(text) in holders else None


def _holders(inode: int) -> set[int]:
    """Give who holds a lock on a file of this number, as proc_locks(5) has it; 0 is not from here."""
    try:
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return set()
    # 1: FLOCK  ADVISORY  WRITE 1234 00:1f:5678 0 EOF. The device is not compared: btrfs has two numbers.
    entries = (line.split() for line in lines)
    found = {int(e[4]) for e in entries if len(e) == 8 and e[1] == "FLOCK" and e[5].endswith(f":{inode}")}
    return found - {0, -1}


def wait_until_free(path: Path, seconds: float) -> bool:
    """Wait at most so long for the lock to be free; tell whether it is."""
    return _until(lambda: not is_held(path), seconds)


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def _try(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _already_running(path: Path) -> AlreadyRunning:
    pid = owner(path)
    who = f"process {pid}" if pid else "another process"
    return AlreadyRunning(
        "Another deployment is running on this server.",
        detail=f"It is carried out by {who}.",
        hint="Watch it with: byoi-agent status --follow. Stop it with: byoi-agent cancel",
    )
