"""What has happened between two looks at a status, as the events a listener gets."""

from collections.abc import Iterator

from agent.exit_codes import ExitCode
from agent.reporting import events
from agent.status import State, Status, StepState


def events_between(before: Status | None, current: Status) -> Iterator[events.Event]:
    """Yield what a listener has to be told to show ``current``; ``before`` is what it knows already."""
    for warning in current.warnings[len(before.warnings) if before else 0 :]:
        yield events.Warned(warning)
    if before is not None:
        yield from _finished_steps(before, current)
    if current.status is not State.DOING:
        yield _end(current)
        return
    if before is None or current.message != before.message:
        yield events.StepStarted(current.step or "", current.message)
    if current.progress is not None and (before is None or current.progress != before.progress):
        yield events.Progressed(current.step or "", current.progress)


def _finished_steps(before: Status, current: Status) -> Iterator[events.Event]:
    done = {step.name for step in before.steps if step.state is StepState.DONE}
    for step in current.steps:
        if step.state is StepState.DONE and step.name not in done:
            yield events.StepFinished(step.name, step.seconds or 0.0)


def _end(status: Status) -> events.Event:
    if status.status is State.DONE:
        return events.Finished()
    code = ExitCode.DEFECT if status.exit_code is None else status.exit_code
    return events.Failed(status.message, status.detail or "", status.hint or "", code)
