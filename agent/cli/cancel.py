"""``byoi-agent cancel``: stops the deployment that is running."""

import contextlib
import os
import signal
import sys

from agent import run_lock
from agent.errors import Refused
from agent.exit_codes import ExitCode
from agent.fetch.redaction import printable
from agent.run_directory import RunDirectory, run_directory
from agent.status import State
from agent.status_now import status_now

_PATIENCE = 60.0


def cancel() -> int:
    """Stop the deployment that is running, and say what state the disk is in."""
    where = run_directory()
    pid = run_lock.owner(where.lock)
    if pid is None:
        raise _nobody(where, held=run_lock.is_held(where.lock))
    with contextlib.suppress(ProcessLookupError):  # it may have ended a moment ago
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)  # one that was suspended (Ctrl-Z) hears nothing
    if not run_lock.wait_until_free(where.lock, _PATIENCE):
        raise Refused(
            "The deployment has not ended yet.",
            detail=f"Process {pid} was told to end, and is still there after {_PATIENCE:.0f} s.",
            hint=f"It may be waiting for the disk. Look at: byoi-agent status. End it: kill -9 {pid}",
        )
    sys.stdout.write(printable(_outcome(where)) + "\n")
    return ExitCode.DONE


def _nobody(where: RunDirectory, *, held: bool) -> Refused:
    if held:
        return Refused(
            "The deployment can not be stopped now.",
            detail="It has only just begun or is about to end: which process it is can not be told.",
            hint="Try again in a moment.",
        )
    return Refused(
        "No deployment is running.",
        detail=f"No process works in {where.path}, so there is nothing to stop.",
        hint="See how the last one ended with: byoi-agent status",
    )


def _outcome(where: RunDirectory) -> str:
    try:
        ended = status_now(where)
    except Refused as error:
        return f"The deployment was stopped. What state the disk is in can not be told: {error.detail}"
    if ended is not None and ended.status is State.DONE:
        return "The deployment was done before it could be stopped."
    if ended is None or ended.disk is None:
        return "The deployment was stopped. No disk was changed."
    return f"The deployment was stopped. The disk {ended.disk.path} {ended.disk_state}."
