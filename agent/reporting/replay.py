"""What has happened between two looks at a status, as the events a listener gets."""

from collections.abc import Iterator

from agent.exit_codes import ExitCode
from agent.reporting import events
from agent.status import State, Status


def events_between(before: Status | None, current: Status) -> Iterator[events.Event]:
    """Yield what a listener has to be told to show ``current``; ``before`` is what it knows already."""
    known = () if before is None else before.warnings
    for warning in current.warnings[len(known) :]:
        yield events.Warned(warning)
    yield from _ended_step(before, current)
    if current.status is not State.DOING:
        yield _end(current)
        return
    if before is None or current.message != before.message:
        yield events.StepStarted(current.step or "", current.message)
    if current.progress is not None and (before is None or current.progress != before.progress):
        yield events.Progressed(current.step or "", current.progress)


def _ended_step(before: Status | None, current: Status) -> Iterator[events.Event]:
    if before is not None and before.step != current.step:
        for step in current.steps:
            if step.name == before.step and step.seconds is not None:
                yield events.StepFinished(step.name, step.seconds)


def _end(status: Status) -> events.Event:
    if status.status is State.DONE:
        return events.Finished()
    code = ExitCode.DEFECT if status.exit_code is None else ExitCode(status.exit_code)
    return events.Failed(status.message, status.detail or "", status.hint or "", code)
