"""A deployment as a process sees it: one at a time, interruptible, reported, ended with an exit code."""

import contextlib
import logging
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from agent import run_lock
from agent.deployment.context import Context
from agent.deployment.deploy import Confirm, choose, deploy, inspect
from agent.deployment.failure import explain
from agent.deployment.later_reboot import reboot_later
from agent.deployment.outline import Outline
from agent.deployment.plan import DeploymentPlan
from agent.deployment.stage import stage
from agent.deployment.steps import steps_of
from agent.exit_codes import ExitCode
from agent.fetch.redaction import printable
from agent.interrupts import interruptible, undisturbed
from agent.reboot import reboot
from agent.reporting import status_file
from agent.reporting.patient_stream import PatientStream
from agent.reporting.reporter import Listener, Reporter
from agent.reporting.status_file import StatusFile
from agent.request.model import Request
from agent.run_directory import RunDirectory
from agent.run_log import logging_to
from agent.status import State, Status, StepStatus, now
from partitioning.errors import ExplainedError
from partitioning.group_config import GroupConfig

log = logging.getLogger(__name__)


def first_status(request: Request) -> Status:
    """Give the status a deployment begins with."""
    return Status(
        servername=request.options.service_name or socket.gethostname(),
        checksum=request.check_sum,
        description=request.description,
        steps=tuple(StepStatus(name=step) for step in steps_of(request)),
        started_at=now(),
    )


def run_deployment(
    request: Request,
    *,
    group_config: GroupConfig,
    where: RunDirectory,
    listeners: Sequence[Listener],
    confirm: Confirm | None,
    before_reboot: Callable[[], None] | None = None,
    reboot_delay: float = 0.0,
) -> ExitCode:
    """Carry out the deployment and report it, also when it can not even begin.

    ``before_reboot`` is called where it is done and the server is to reboot, which happens ``reboot_delay``
    seconds after that; see ``reboot_later`` for what stops it in that time.
    """
    context = Context(
        request=request, group_config=group_config, reporter=Reporter(first_status(request), listeners)
    )
    # What has ended and was reported is not undone by a signal that comes late.
    with undisturbed():
        with interruptible():
            code = _outcome(context, lambda: _alone(context, where, confirm))
        if code is ExitCode.DONE and request.options.reboot:
            if before_reboot is not None:
                before_reboot()
            _reboot_after(reboot_delay, where, context.reporter.status)
    return code


def _reboot_after(seconds: float, where: RunDirectory, ended: Status) -> None:
    if not reboot_later(where, ended, seconds, lambda: _reboot(where, ended)):
        with contextlib.suppress(OSError):
            PatientStream(sys.stderr).write("The server is not rebooted: that was stopped, or overtaken.\n")


def _alone(context: Context, where: RunDirectory, confirm: Confirm | None) -> None:
    """Deploy, when nobody else does; the end is reported before anybody else can begin."""
    with run_lock.hold(where.lock), logging_to(where.log):
        context.reporter.keep_in(StatusFile(where.status))
        _outcome(context, lambda: deploy(context, confirm))


def _reboot(where: RunDirectory, ended: Status) -> bool:
    """Reboot; tell whether the system goes down. That the deployment is done was reported in any case."""
    try:
        reboot()
    except ExplainedError as error:
        words = printable(f"{error} {error.hint}")
        # Nobody may read what a deployment that was started by a call writes, but its status is asked for.
        with contextlib.suppress(OSError):
            status_file.write(where.status, ended.model_copy(update={"warnings": (*ended.warnings, words)}))
        with contextlib.suppress(OSError):
            PatientStream(sys.stderr).write(f"{words}\n")
        return False
    return True


def run_planning(
    request: Request, *, group_config: GroupConfig, listeners: Sequence[Listener]
) -> DeploymentPlan | Outline | ExitCode:
    """Work out what a deployment would do; report why not, and give the exit code, when it would fail."""
    reporter = Reporter(first_status(request), listeners)
    context = Context(request=request, group_config=group_config, reporter=reporter)
    made: list[DeploymentPlan | Outline] = []

    def work() -> None:
        target = choose(context)
        with ExitStack() as stack:
            made.append(inspect(context, target, stage(context, target, stack)))

    with undisturbed(), interruptible():
        code = _outcome(context, work)
    return made[0] if code is ExitCode.DONE else code


def _outcome(context: Context, work: Callable[[], None]) -> ExitCode:
    """Do the work; when it fails, report that. Give the exit code of what was reported first."""
    try:
        work()
    except BaseException as error:
        with undisturbed():
            _report(context, error)
    return ExitCode.DONE if context.exit_code is None else context.exit_code


def _report(context: Context, error: BaseException) -> None:
    if context.exit_code is not None or context.reporter.status.status is State.DONE:
        log.info("after the end: %s", type(error).__name__)
        return
    failed = explain(error, context.circumstances())
    log.info("ended: %s", failed.message)
    if failed.exit_code is ExitCode.DEFECT:
        # Only where it came from: its text may hold anything, a secret as well.
        log.info("%s\n%s", failed.detail, "".join(traceback.format_tb(error.__traceback__)))
    context.reporter.tell(failed)
    context.exit_code = failed.exit_code
