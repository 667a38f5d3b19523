"""``byoi-agent cancel``: stops the deployment that is running."""

import sys

from agent import run_lock
from agent.cancellation import PATIENCE, not_stopped, stop_pending_reboot, tell_to_end
from agent.errors import Refused
from agent.exit_codes import ExitCode
from agent.fetch.redaction import printable
from agent.run_directory import RunDirectory, run_directory
from agent.status import State
from agent.status_now import status_now


def cancel() -> int:
    """Stop the deployment that is running, and say what state the disk is in."""
    where = run_directory()
    try:
        pid = tell_to_end(where)
    except Refused:
        if not stop_pending_reboot(where):
            raise
        sys.stdout.write("The reboot that was to come was stopped. The deployment is done.\n")
        return ExitCode.DONE
    if not run_lock.wait_until_free(where.lock, PATIENCE):
        raise not_stopped(pid, PATIENCE)
    sys.stdout.write(printable(_outcome(where)) + "\n")
    return ExitCode.DONE


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
