"""A deployment as a process sees it: one at a time, interruptible, reported, ended with an exit code."""

import logging
import socket
import sys
import traceback
from collections.abc import Callable, Sequence

from agent import run_lock
from agent.deployment.context import Context
from agent.deployment.deploy import Confirm, choose, deploy, fetch, inspect
from agent.deployment.failure import explain
from agent.deployment.plan import DeploymentPlan
from agent.deployment.steps import steps_of
from agent.exit_codes import ExitCode
from agent.fetch.spool import Spool
from agent.interrupts import interruptible
from agent.reboot import reboot
from agent.reporting.reporter import Listener, Reporter
from agent.reporting.status_file import StatusFile, write
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
    confirm: Confirm,
) -> ExitCode:
    """Carry out the deployment and report it, also when it fails; AlreadyRunning where one is under way."""
    with run_lock.hold(where.lock), logging_to(where.log):
        status = first_status(request)
        write(where.status, status)
        reporter = Reporter(status, [StatusFile(where.status), *listeners])
        context = Context(request=request, group_config=group_config, reporter=reporter)
        failure = _ended_badly(context, lambda: deploy(context, confirm))
        if failure is not None:
            return failure
    if request.options.reboot:
        _reboot()
    return ExitCode.DONE


def _reboot() -> None:
    try:
        reboot()
    except ExplainedError as error:
        # The deployment is done and has been reported as that; the rest is up to the operator.
        sys.stderr.write(f"{error} {error.hint}\n")


def run_planning(
    request: Request, *, group_config: GroupConfig, listeners: Sequence[Listener]
) -> DeploymentPlan | ExitCode:
    """Work out what a deployment would do; report why not, and give the exit code, when it would fail."""
    reporter = Reporter(first_status(request), listeners)
    context = Context(request=request, group_config=group_config, reporter=reporter)
    made: list[DeploymentPlan] = []

    def work() -> None:
        target = choose(context)
        with Spool() as spool:
            fetch(context, target, spool)
            made.append(inspect(context, target, spool))

    return _ended_badly(context, work) or made[0]


def _ended_badly(context: Context, work: Callable[[], None]) -> ExitCode | None:
    """Do the work; when it fails, report that and give the exit code."""
    try:
        with interruptible():
            work()
    except BaseException as error:
        if context.reporter.status.status is State.DONE:
            log.info("after the end: %s", type(error).__name__)
            return None
        failed = explain(error, context.circumstances())
        log.info("ended: %s", failed.message)
        if failed.exit_code is ExitCode.DEFECT:
            # Only where it came from: its text may hold anything, a secret as well.
            log.info("%s\n%s", failed.detail, "".join(traceback.format_tb(error.__traceback__)))
        context.reporter.tell(failed)
        return failed.exit_code
    return None
