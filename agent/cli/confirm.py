"""The question before a disk is erased."""

import contextlib
import math
import os
import sys
import termios

from agent.deployment.outline import Outline
from agent.deployment.outline_view import known_lines
from agent.deployment.plan import DeploymentPlan
from agent.deployment.plan_view import target_lines
from agent.errors import Interrupted, Refused
from agent.fetch.redaction import printable
from agent.reporting.patient_stream import PatientStream
from agent.request.model import Request


def can_ask() -> bool:
    """Tell whether there is a person who sees a question and can answer it.

    It goes to standard error: standard output may be a program's, that wants JSON.
    """
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(request: Request, plan: DeploymentPlan | Outline) -> None:
    """Show the plan and ask for the disk's name; raises Refused where it is not typed."""
    name = str(plan.target.disk.path)
    # A terminal that is held (Ctrl-S) is waited for, and signals still end the deployment.
    screen = PatientStream(sys.stderr, patience=math.inf)
    # What there is to warn of has been shown just before.
    shown = ["", *target_lines(request, plan.target), *known_lines(request, plan, warnings=False), ""]
    first = printable(f"All data on this disk will be lost. Type its name ({name}) to go on: ")
    second = printable(f"That is not its name. Once more: type {name} to go on, or nothing to end: ")
    for question in ("\n".join([*shown, first]), second):
        answer = _answer(screen, question)
        if _names(answer, name, request.options.disk):
            return
        if not answer:
            break
    raise _not_confirmed(f"The name {name} was not typed.")


def _names(answer: str, name: str, given: str | None) -> bool:
    """Tell whether ``answer`` is the disk's name, also as it was given to --disk or from this directory."""
    if not answer:
        return False
    with contextlib.suppress(OSError):  # the working directory may be gone
        return os.path.abspath(answer) in (name, given)  # noqa: PTH100 - keeps links
    return answer == name


def _answer(screen: PatientStream, question: str) -> str:
    try:
        # What was typed before the question was there is no answer to it.
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
        screen.write(question)
        return sys.stdin.readline().strip()
    except Interrupted:
        with contextlib.suppress(OSError):
            if screen.ready():
                screen.write("\n")  # what comes next begins on a line of its own
        raise
    except (OSError, termios.error) as error:
        raise _not_confirmed(f"The terminal is gone: {os.strerror(error.args[0])}.") from None


def _not_confirmed(detail: str) -> Refused:
    return Refused(
        "The deployment was not confirmed.",
        detail=detail,
        hint="Start again when you are sure of the disk.",
    )
