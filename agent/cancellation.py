"""Ending the deployment that is running, whoever started it."""

import contextlib
import os
import signal

from agent import run_lock
from agent.errors import Refused
from agent.run_directory import RunDirectory

PATIENCE = 60.0
"""Seconds that a deployment may take to end in good order."""


def tell_to_end(where: RunDirectory) -> int:
    """Tell the deployment that is running to end, and give its process id.

    Raises Refused where none is running, and where it can not be told which process it is.
    """
    pid = run_lock.owner(where.lock)
    if pid is None:
        raise _nobody(where, held=run_lock.is_held(where.lock))
    with contextlib.suppress(ProcessLookupError):  # it may have ended a moment ago
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)  # one that was suspended (Ctrl-Z) hears nothing
    return pid


def not_stopped(pid: int, seconds: float) -> Refused:
    """Explain that it was told, and has not ended for so many seconds."""
    return Refused(
        "The deployment has not ended yet.",
        detail=f"Process {pid} was told to end, and is still there after {seconds:.0f} s.",
        hint=f"It may be waiting for the disk. Look at: byoi-agent status. End it: kill -9 {pid}",
    )


def not_now() -> Refused:
    """Explain that one is running, and that it can not be told which process that is."""
    return Refused(
        "The deployment can not be stopped now.",
        detail="It has only just begun or is about to end, or the server is rebooting.",
        hint="Try again in a moment.",
    )


def stop_pending_reboot(where: RunDirectory) -> bool:
    """Stop the reboot that a deployment which is done has put off; tell whether there was one."""
    pid = run_lock.owner(where.pending_reboot)
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    # Where it was too late, the deployment holds the other lock: the server is going down.
    is_over = run_lock.wait_until_free(where.pending_reboot, PATIENCE)
    return is_over and not run_lock.is_held(where.lock)


def _nobody(where: RunDirectory, *, held: bool) -> Refused:
    if held:
        return not_now()
    return Refused(
        "No deployment is running.",
        detail=f"No process works in {where.path}, so there is nothing to stop.",
        hint="See how the last one ended with: byoi-agent status",
    )
