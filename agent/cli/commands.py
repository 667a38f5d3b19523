"""The commands' parameters. What a command does is in the module of its name, loaded when it is called."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.request_flags import RequestFlags, with_request_flags

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help="The file that pins disk groups (/etc/byoi-agent/disk-groups.toml).",
        show_default=False,
    ),
]
RequestArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="REQUEST", help="A file with the request, or - for standard input.", show_default=False
    ),
]


def doctor(
    *,
    config: ConfigOption = None,
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> int:
    """Show whether this system can carry out a deployment, and how to get what is missing.

    The exit code is 0 when it can, and 3 when something that is needed is missing.
    """
    from agent.cli.doctor import doctor

    return doctor(config=config, json=json)


def disks(
    *,
    config: ConfigOption = None,
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> int:
    """Show the disks and their groups, and what holds each disk."""
    from agent.cli.disks import disks

    return disks(config=config, json=json)


@with_request_flags
def plan(
    *,
    request_file: RequestArgument = None,
    flags: RequestFlags,
    config: ConfigOption = None,
    json: Annotated[bool, typer.Option("--json", help="The plan as one JSON object.")] = False,
    yes: Annotated[bool, typer.Option("--yes", hidden=True)] = False,  # noqa: ARG001 - as deploy has it
) -> int:
    """Show what deploy would do, and write to no disk."""
    from agent.cli.plan import plan

    return plan(request_file, flags, config=config, json=json)


@with_request_flags
def deploy(
    *,
    request_file: RequestArgument = None,
    flags: RequestFlags,
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Erase the disk without asking.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Events as JSON, one a line.")] = False,
) -> int:
    """Erase the disk, write the image onto it and make it boot."""
    from agent.cli.deploy import deploy

    return deploy(request_file, flags, config=config, yes=yes, json=json)


def status(
    *,
    json: Annotated[bool, typer.Option("--json", help="The four documented fields as JSON.")] = False,
    full: Annotated[bool, typer.Option("--full", help="With --json: every field.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the deployment ends.")] = False,
) -> int:
    """Show where the deployment stands.

    The exit code is 0, also for a deployment that failed; with --follow it is that of the deployment.
    """
    from agent.cli.status import status

    return status(json=json, full=full, follow=follow)


def cancel() -> int:
    """Stop the deployment that is running.

    Once writing has begun, the disk does not boot afterwards; what state it is in is said at the end.
    """
    from agent.cli.cancel import cancel

    return cancel()


def boot(
    *,
    config: ConfigOption = None,
    command_line: Annotated[
        Path, typer.Option("--command-line", metavar="PATH", help="Read the parameters from this file.")
    ] = Path("/proc/cmdline"),
) -> int:
    """Take the request from the provisioning system that the kernel's command line names, and carry it out.

    byoi.request=URL gives the request; byoi.status=URL is told how it goes, and byoi.token is shown to both.
    byoi.service=NAME is the server's name. No question is asked. When it is done, the server reboots.
    """
    from agent.cli.boot import boot

    return boot(config=config, command_line=command_line)
