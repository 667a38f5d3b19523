"""The steps that a plan takes."""

from agent.deployment.plan import DeploymentPlan
from agent.deployment.steps import Step, steps_of
from agent.request.model import Request


def steps_of_plan(plan: DeploymentPlan, request: Request, *, was_written: bool) -> tuple[Step, ...]:
    """Give those of the request's steps that there is something to do in.

    ``was_written``: the plan could be made only when the image had been written.
    """
    needed = {
        Step.LOOK: was_written,
        Step.ESP: bool(plan.boot.writes),
        Step.RIVALS: bool(plan.rivals.rivals),
        Step.ENTRY: plan.entry is not None,
    }
    return tuple(step for step in steps_of(request) if needed.get(step, True))
