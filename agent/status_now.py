"""The status as it is now: what the file says, corrected when its writer is no longer alive."""

from agent import run_lock
from agent.exit_codes import ExitCode
from agent.reporting import status_file
from agent.reporting.events import Failed
from agent.reporting.status_change import apply
from agent.run_directory import RunDirectory
from agent.status import State, Status


def status_now(where: RunDirectory) -> Status | None:
    """Give the status; None where there never was a deployment.

    A deployment holds its lock until its process ends, so a status that still says ``doing`` while nobody
    holds the lock was left by an agent that was killed.
    """
    while True:
        found = status_file.read(where.status)
        if found is None or found.status is not State.DOING or run_lock.is_held(where.lock):
            return found
        # It may have ended between the two looks, and another one may have begun.
        if status_file.read(where.status) == found:
            return _killed(found)


def _killed(left: Status) -> Status:
    during = f", in the step {left.step}" if left.step else ""
    failed = Failed(
        "The agent ended before the deployment did.",
        f"It was killed, or lost power{during}.",
        "Start the deployment again; the same request will do.",
        ExitCode.TERMINATED,
    )
    # When it ended is not known.
    return apply(failed, left).model_copy(update={"finished_at": None})
