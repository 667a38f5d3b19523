"""A reboot that is put off, so that whoever polls the status gets to see that it is done."""

import time
from collections.abc import Callable

from agent import run_lock
from agent.errors import Interrupted, Refused
from agent.interrupts import interruptible
from agent.reporting import status_file
from agent.run_directory import RunDirectory
from agent.status import Status

_POLL = 0.2


def reboot_later(where: RunDirectory, ended: Status, seconds: float, reboot: Callable[[], None]) -> None:
    """Call ``reboot`` after so many seconds, unless something is in the way of it by then.

    That is: the status ``ended`` was erased, another deployment has begun, or a signal has come. The lock is
    free meanwhile. It is held during the reboot, so that nothing begins that would be cut off.
    """
    if not _waited(where, ended, seconds):
        return
    try:
        with run_lock.hold(where.lock):
            if _is_last(where, ended):
                reboot()
    except Refused:
        return  # another deployment has begun


def _waited(where: RunDirectory, ended: Status, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    try:
        with interruptible():
            while time.monotonic() < deadline:
                if not _is_last(where, ended):
                    return False
                time.sleep(_POLL)
    except Interrupted:
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
