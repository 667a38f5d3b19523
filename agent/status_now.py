"""The status as it is now: what the file says, corrected when its writer is no longer alive."""

from agent import run_lock
from agent.exit_codes import ExitCode
from agent.reporting import status_file
from agent.run_directory import RunDirectory
from agent.status import State, Status, StepState


def status_now(where: RunDirectory) -> Status | None:
    """Give the status; None where there never was a deployment.

    A deployment holds its lock until its process ends, so a status that still says ``doing`` while nobody
    holds the lock was left by an agent that was killed.
    """
    found = status_file.read(where.status)
    if found is None or found.status is not State.DOING or run_lock.is_held(where.lock):
        return found
    # It may have ended between the two looks.
    again = status_file.read(where.status)
    return _killed(again) if again is not None and again.status is State.DOING else again


def _killed(left: Status) -> Status:
    steps = tuple(
        step.model_copy(update={"state": StepState.FAILED}) if step.state is StepState.DOING else step
        for step in left.steps
    )
    return left.model_copy(
        update={
            "status": State.ERROR,
            "message": "The agent ended before the deployment did.",
            "detail": f"It was killed, or lost power, in the step {left.step}.",
            "exit_code": int(ExitCode.TERMINATED),
            "hint": "Start the deployment again; the same request will do.",
            "steps": steps,
            "progress": None,
        }
    )
