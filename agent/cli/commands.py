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
    reboot_delay: Annotated[
        float, typer.Option("--reboot-delay", metavar="SECONDS", min=0, max=3600, hidden=True)
    ] = 0.0,
) -> int:
    """Erase the disk, write the image onto it and make it boot."""
    from agent.cli.deploy import deploy

    return deploy(request_file, flags, config=config, yes=yes, json=json, reboot_delay=reboot_delay)


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


def serve(
    *,
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDRESS:PORT", help="Where to listen.")
    ] = "127.0.0.1:8080",
    credentials: Annotated[
        Path | None,
        typer.Option(
            "--credentials",
            metavar="FILE",
            help="The keys that calls are signed with (/etc/byoi-agent/credentials.toml, where it exists)."
            " Without any, only loopback addresses are listened on.",
            show_default=False,
        ),
    ] = None,
    service_name: Annotated[
        str | None,
        typer.Option(
            "--service-name",
            metavar="NAME",
            help="The one name that calls may give this server.",
            show_default=False,
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url",
            metavar="URL",
            help="What clients call this server by, where a proxy passes their calls on.",
            show_default=False,
        ),
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            "--tls-certificate",
            metavar="FILE",
            help="Speak https, with this certificate and its chain (PEM).",
            show_default=False,
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            "--tls-key", metavar="FILE", help="Its key, where that is in another file.", show_default=False
        ),
    ] = None,
    config: ConfigOption = None,
) -> int:
    """Serve the three calls of the API, and a page to watch the deployment on, until a signal comes.

    A deployment that a call has started goes on when this ends.
    """
    from agent.cli.serve import ServeFlags, serve

    return serve(
        ServeFlags(
            address=listen,
            credentials=credentials,
            service_name=service_name,
            base_url=base_url,
            certificate=tls_certificate,
            key=tls_key,
            config=config,
        )
    )
