"""The reboot at the end, at once or put off, so that whoever polls the status gets to see that it is done."""

import time
from collections.abc import Callable

from agent import run_lock
from agent.errors import Interrupted, Refused
from agent.interrupts import interruptible
from agent.reporting import status_file
from agent.run_directory import RunDirectory
from agent.status import Status

_POLL = 0.2

GOING_DOWN = 300.0
"""Seconds that the system has to go down in; a deployment that began meanwhile would be cut off."""


def reboot_later(where: RunDirectory, ended: Status, seconds: float, reboot: Callable[[], bool]) -> bool:
    """Call ``reboot`` after so many seconds, if nothing is in the way by then; tell whether it was called.

    That is: the status ``ended`` was erased, another deployment has begun, or a signal has come. The lock is
    free meanwhile. It is held during the reboot, and where ``reboot`` says that it works, until the system
    has gone down.
    """
    if seconds and not _waited(where, ended, seconds):
        return False
    try:
        with run_lock.hold(where.lock, signed=False) as lock:
            if not _is_last(where, ended):
                return False
            if reboot():
                lock.outlive(GOING_DOWN)
    except Refused:
        return False  # another deployment has begun
    return True


def _waited(where: RunDirectory, ended: Status, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    try:
        with run_lock.hold(where.pending_reboot), interruptible():
            while time.monotonic() < deadline:
                if not _is_last(where, ended):
                    return False
                time.sleep(_POLL)
    except (Interrupted, Refused):
        return False
    return True


def _is_last(where: RunDirectory, ended: Status) -> bool:
    try:
        found = status_file.read(where.status)
    except Refused:
        return False
    if found is None:
        return False
    return (found.started_at, found.finished_at) == (ended.started_at, ended.finished_at)
