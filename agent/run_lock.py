"""One deployment at a time: a lock that ends with its process, however that ends."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import AlreadyRunning

_PATIENCE = 1.0
_POLL = 0.05


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock at ``path``; AlreadyRunning when another process does."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        # Someone who only looks at the lock holds it for a moment, too.
        if not _until(lambda: _try(fd, fcntl.LOCK_EX), _PATIENCE):
            raise _already_running(path)
        os.ftruncate(fd, 0)
        os.pwrite(fd, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(fd)


def owner(path: Path) -> int | None:
    """Give the process id of the deployment that holds the lock; None when none does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _try(fd, fcntl.LOCK_SH):
            return None
        text = os.pread(fd, 32, 0)
        return int(text) if text.isdigit() else None
    finally:
        os.close(fd)


def wait_until_free(path: Path, seconds: float) -> bool:
    """Wait at most so long for the lock to be free; tell whether it is."""
    return _until(lambda: owner(path) is None, seconds)


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
