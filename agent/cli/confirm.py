"""The question before a disk is erased."""

import sys

from agent.deployment.plan import DeploymentPlan
from agent.deployment.plan_view import image_lines, target_lines
from agent.errors import Interrupted, Refused
from agent.fetch.redaction import printable
from agent.request.model import Request


def confirm(request: Request, plan: DeploymentPlan) -> None:
    """Show the plan and ask for the disk's name; raises Refused where it is not typed."""
    name = str(plan.target.disk.path)
    _say("\n".join(["", *target_lines(request, plan.target), *image_lines(plan), "", ""]))
    for question in (
        f"All data on this disk will be lost. Type its name ({name}) to go on: ",
        f"That is not its name. Type {name} to go on, or nothing to end: ",
    ):
        answer = _answer(question)
        if answer in (name, request.options.disk):
            return
        if not answer:
            break
    raise Refused(
        "The deployment was not confirmed.",
        detail=f"The name {name} was not typed.",
        hint="Start again when you are sure of the disk.",
    )


def _answer(question: str) -> str:
    _say(printable(question))
    try:
        return sys.stdin.readline().strip()
    except Interrupted:
        _say("\n")  # what comes next begins on a line of its own
        raise


def _say(text: str) -> None:
    # Standard output may be a program's, that wants JSON.
    sys.stderr.write(text)
    sys.stderr.flush()
