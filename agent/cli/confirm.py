"""The question before a disk is erased."""

import contextlib
import math
import os
import sys
import termios

from agent.deployment.plan import DeploymentPlan
from agent.deployment.plan_view import image_lines, target_lines
from agent.errors import Interrupted, Refused
from agent.fetch.redaction import printable
from agent.reporting.patient_stream import PatientStream
from agent.request.model import Request


def can_ask() -> bool:
    """Tell whether there is a person who sees a question and can answer it.

    It goes to standard error: standard output may be a program's, that wants JSON.
    """
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(request: Request, plan: DeploymentPlan) -> None:
    """Show the plan and ask for the disk's name; raises Refused where it is not typed."""
    name = str(plan.target.disk.path)
    try:
        typed = _is_typed(name, request, plan)
    except OSError as error:
        raise _not_confirmed(f"The terminal is gone: {error.strerror}.") from None
    if not typed:
        raise _not_confirmed(f"The name {name} was not typed.")


def _is_typed(name: str, request: Request, plan: DeploymentPlan) -> bool:
    # A terminal that is held (Ctrl-S) is waited for, and signals still end the deployment.
    screen = PatientStream(sys.stderr, patience=math.inf)
    screen.write("\n".join(["", *target_lines(request, plan.target), *image_lines(request, plan), "", ""]))
    for question in (
        f"All data on this disk will be lost. Type its name ({name}) to go on: ",
        f"That is not its name. Once more: type {name} to go on, or nothing to end: ",
    ):
        answer = _answer(screen, question)
        if not answer:
            break
        # The spelling that was given to --disk is right, too, and so is one from this directory.
        if os.path.abspath(answer) in (name, request.options.disk):  # noqa: PTH100 - keeps links
            return True
    return False


def _answer(screen: PatientStream, question: str) -> str:
    # What was typed before the question was there is no answer to it.
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    screen.write(printable(question))
    try:
        return sys.stdin.readline().strip()
    except Interrupted:
        with contextlib.suppress(OSError):
            if screen.ready():
                screen.write("\n")  # what comes next begins on a line of its own
        raise


def _not_confirmed(detail: str) -> Refused:
    return Refused(
        "The deployment was not confirmed.",
        detail=detail,
        hint="Start again when you are sure of the disk.",
    )
