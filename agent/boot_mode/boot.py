"""Boot mode: from the kernel's command line to the reboot, or to a server that waits for a person."""

import contextlib
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent import run_lock
from agent.boot_mode.addresses import own_addresses
from agent.boot_mode.consoles import open_consoles
from agent.boot_mode.kernel_command_line import BootParameters, parse_boot_parameters
from agent.boot_mode.status_poster import StatusPoster
from agent.boot_mode.status_url import StatusUrl
from agent.boot_mode.take_config import take_config
from agent.boot_mode.take_request import bearing, take_request
from agent.deployment.failure import explain_before_writing
from agent.deployment.run import run_deployment
from agent.exit_codes import ExitCode
from agent.fetch.redaction import public_url
from agent.interrupts import interruptible, undisturbed
from agent.reporting import events
from agent.reporting.plain import PlainLines
from agent.reporting.reporter import Listener, Reporter
from agent.reporting.status_file import StatusFile
from agent.request.model import Request
from agent.request.parse import parse
from agent.run_directory import RunDirectory
from agent.status import Status, now
from partitioning.group_config import GroupConfig

BEFORE_REBOOT = 60.0
"""Seconds that the end may take to reach the provisioning system; then the server reboots all the same."""

WITHOUT_REBOOT = 600.0
"""The same where the server stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What boot mode finds on this system."""

    where: RunDirectory
    group_config: Callable[[], GroupConfig]
    """Reads the file; what is wrong with it is reported as all else is."""
    config_file: Path
    """Where that file is kept when it comes from the provisioning system."""
    listeners: Sequence[Listener]
    """Beside the consoles."""
    consoles: bool
    """Whether the consoles of this system are told, too."""


def boot(command_line: str, around: Surroundings) -> ExitCode:
    """Take the request that the kernel's ``command_line`` names, carry it out and report it everywhere."""
    parameters = parse_boot_parameters(command_line)
    with ExitStack() as stack:
        consoles = open_consoles(stack) if around.consoles else []
        people = [*around.listeners, *map(PlainLines, consoles)]
        end = _End(_poster(parameters), people)
        code = _carried_out(parameters, around, end)
        if code is not ExitCode.DONE:
            end.say(_how_to_go_on(around.where))
        end.arrives_within(WITHOUT_REBOOT)
        end.close()
    return code


def _carried_out(parameters: BootParameters, around: Surroundings, end: "_End") -> ExitCode:
    found = _begun(parameters, around, end.listeners)
    if isinstance(found, ExitCode):
        return found
    request, group_config = found
    if request is None:
        end.say(_by_hand(around))
        return ExitCode.DONE
    return run_deployment(
        request,
        group_config=group_config,
        where=around.where,
        listeners=end.listeners,
        confirm=None,
        before_reboot=partial(end.arrives_within, BEFORE_REBOOT),
    )


def _begun(
    parameters: BootParameters, around: Surroundings, listeners: Sequence[Listener]
) -> tuple[Request | None, GroupConfig] | ExitCode:
    """Get all that a deployment begins with; when that fails, report it and give the exit code.

    There is no request where a person is to deploy.
    """
    name = parameters.service or socket.gethostname()
    reporter = Reporter(Status(servername=name, started_at=now()), listeners)
    with undisturbed():
        try:
            with interruptible():
                return _request(parameters, reporter), _group_config(parameters, around, reporter)
        except BaseException as error:
            return _not_begun(error, reporter, around.where)


def _request(parameters: BootParameters, reporter: Reporter) -> Request | None:
    for fault in parameters.faults:
        reporter.warn(f"On the kernel's command line: {fault}")
    parameters.require_usable()
    url = parameters.request_url
    if url is None:
        return None
    reporter.note(f"Asking for the request: {public_url(url)}")
    request = parse(take_request(url, parameters.token, reporter.note))
    options = request.options
    here = {"reboot": options.reboot is not False, "service_name": options.service_name or parameters.service}
    return request.model_copy(update={"options": options.model_copy(update=here)})


def _group_config(parameters: BootParameters, around: Surroundings, reporter: Reporter) -> GroupConfig:
    url = parameters.config_url
    if url is None:
        return around.group_config()
    reporter.note(f"Asking for the disk group file: {public_url(url)}")
    return take_config(url, parameters.token, around.config_file, reporter.note)


def _not_begun(error: BaseException, reporter: Reporter, where: RunDirectory) -> ExitCode:
    failed = explain_before_writing(error)
    with ExitStack() as stack:
        # Where another deployment is under way, the status and the log are its own.
        with contextlib.suppress(Exception):
            stack.enter_context(run_lock.hold(where.lock))
            reporter.keep_in(StatusFile(where.status))
        reporter.tell(failed)
    return failed.exit_code


def _poster(parameters: BootParameters) -> StatusPoster | None:
    if parameters.status_url is None or parameters.prepares_only:
        return None
    return StatusPoster(StatusUrl(bearing(parameters.status_url, parameters.token)))


class _End:
    """Those who are told, and how the last word reaches them."""

    def __init__(self, poster: StatusPoster | None, people: Sequence[Listener]) -> None:
        self._poster = poster
        self._people = people
        self._said = False

    @property
    def listeners(self) -> list[Listener]:
        return [*self._people, *([self._poster] if self._poster else [])]

    def arrives_within(self, seconds: float) -> None:
        """Wait for the provisioning system to take the last status; say it where it does not."""
        if self._poster is None or self._poster.arrives_within(seconds) or self._said:
            return
        self._said = True
        self.say(["The provisioning system was not told how it ended: its byoi.status did not take it."])

    def close(self) -> None:
        if self._poster is not None:
            self._poster.close()

    def say(self, lines: Sequence[str]) -> None:
        nothing = Status(servername="", started_at="")
        for listener in self._people:
            with contextlib.suppress(OSError):
                for line in lines:
                    listener.handle(events.Note(line), nothing)


def _by_hand(around: Surroundings) -> list[str]:
    return [
        f"The disk groups are those of the provisioning system's file, which is now {around.config_file}.",
        "byoi.request is not on the kernel's command line: nothing is deployed.",
        *_logins(),
        "Begin with: byoi-agent disks; byoi-agent deploy --help",
    ]


def _logins() -> list[str]:
    return [f"Log in with: ssh root@{address}" for address in own_addresses()]


def _how_to_go_on(where: RunDirectory) -> list[str]:
    return [
        "This server stays in the rescue system.",
        *_logins(),
        f"See what happened: byoi-agent status; the log is {where.log}",
        "Try again: systemctl restart byoi-agent-boot",
    ]
