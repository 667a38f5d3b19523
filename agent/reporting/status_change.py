"""How each event changes the status."""

from functools import singledispatch

from agent import messages
from agent.reporting import events
from agent.status import State, Status, StepState, StepStatus, now


@singledispatch
def apply(event: object, status: Status) -> Status:
    """Give the status after ``event``; events without a say in it leave it as it is."""
    del event
    return status


@apply.register
def _(event: events.StepStarted, status: Status) -> Status:
    steps = _with_step(status, StepStatus(name=event.step, state=StepState.DOING))
    return status.model_copy(
        update={"step": event.step, "steps": steps, "message": event.title, "progress": None}
    )


@apply.register
def _(event: events.StepFinished, status: Status) -> Status:
    finished = StepStatus(name=event.step, state=StepState.DONE, seconds=round(event.seconds, 3))
    return status.model_copy(update={"steps": _with_step(status, finished), "progress": None})


@apply.register
def _(event: events.Progressed, status: Status) -> Status:
    return status.model_copy(update={"progress": event.progress})


@apply.register
def _(event: events.Warned, status: Status) -> Status:
    return status.model_copy(update={"warnings": (*status.warnings, event.text)})


@apply.register
def _(_event: events.Asked, status: Status) -> Status:
    return status.model_copy(update={"message": messages.ASKED, "step": None})


@apply.register
def _(event: events.DiskChosen, status: Status) -> Status:
    return status.model_copy(update={"disk": event.disk})


@apply.register
def _(event: events.Planned, status: Status) -> Status:
    return status.model_copy(
        update={"steps": tuple(step for step in status.steps if step.name in event.steps)}
    )


@apply.register
def _(event: events.SumKnown, status: Status) -> Status:
    return status.model_copy(update={"checksum": event.checksum})


@apply.register
def _(_event: events.DiskTouched, status: Status) -> Status:
    return status.model_copy(update={"disk_touched": True, "disk_may_boot": True})


@apply.register
def _(_event: events.BootPrevented, status: Status) -> Status:
    return status.model_copy(update={"disk_may_boot": False})


@apply.register
def _(_event: events.BootAllowed, status: Status) -> Status:
    return status.model_copy(update={"disk_may_boot": True})


@apply.register
def _(event: events.Failed, status: Status) -> Status:
    steps = tuple(
        step.model_copy(update={"state": StepState.FAILED}) if step.state is StepState.DOING else step
        for step in status.steps
    )
    return status.model_copy(
        update={
            "status": State.ERROR,
            "message": event.message,
            "detail": event.detail,
            "hint": event.hint,
            "exit_code": event.exit_code,
            "steps": steps,
            "progress": None,
            "finished_at": now(),
        }
    )


@apply.register
def _(_event: events.Finished, status: Status) -> Status:
    update = {
        "status": State.DONE,
        "message": messages.DONE,
        "progress": None,
        "step": None,
        "disk_may_boot": False,
    }
    return status.model_copy(update={**update, "finished_at": now()})


def _with_step(status: Status, changed: StepStatus) -> tuple[StepStatus, ...]:
    return tuple(changed if step.name == changed.name else step for step in status.steps)
