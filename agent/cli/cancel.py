"""``byoi-agent cancel``: stops the deployment that is running."""

import contextlib
import os
import signal
import sys

from agent import run_lock
from agent.errors import Refused
from agent.exit_codes import ExitCode
from agent.run_directory import run_directory
from agent.status import State, Status
from agent.status_now import status_now

_PATIENCE = 60.0


def cancel() -> int:
    """Stop the deployment that is running; the server stays as it is."""
    where = run_directory()
    pid = run_lock.owner(where.lock)
    if pid is None:
        raise Refused(
            "No deployment is running.", detail="Nobody holds the lock of this server.", hint="Nothing to do."
        )
    with contextlib.suppress(ProcessLookupError):  # it may have ended a moment ago
        os.kill(pid, signal.SIGTERM)
    if not run_lock.wait_until_free(where.lock, _PATIENCE):
        raise Refused(
            "The deployment has not ended yet.",
            detail=f"Process {pid} was told to end, and is still there after {_PATIENCE:.0f} s.",
            hint=f"It may be waiting for the disk. Look at: byoi-agent status. End it: kill -9 {pid}",
        )
    sys.stdout.write(_outcome(status_now(where)))
    return ExitCode.DONE


def _outcome(ended: Status | None) -> str:
    if ended is not None and ended.status is State.DONE:
        return "The deployment was done before it could be stopped.\n"
    touched = ended is not None and ended.disk_touched
    disk = "was changed and does not boot" if touched else "was not changed"
    return f"The deployment was stopped. The disk {disk}.\n"
