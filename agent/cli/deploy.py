"""``byoi-agent deploy``: puts the image on the disk."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.confirm import can_ask, confirm
from agent.cli.listeners import listeners_for
from agent.cli.request_flags import RequestFlags, with_request_flags
from agent.cli.request_input import read_request
from agent.deployment.target import read_group_config
from agent.errors import RequestError
from agent.run_directory import run_directory

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
    from agent.deployment.run import run_deployment

    request = read_request(request_file, flags)
    asks = _asks(yes=yes, from_stdin=request_file == "-")
    return run_deployment(
        request,
        group_config=read_group_config(config),
        where=run_directory(),
        listeners=listeners_for(json=json),
        confirm=(lambda plan: confirm(request, plan)) if asks else None,
    )


def _asks(*, yes: bool, from_stdin: bool) -> bool:
    if yes:
        return False
    if from_stdin or not can_ask():
        raise RequestError(
            "The command line is wrong: --yes is missing.",
            detail="deploy erases a disk, and can not ask whether it may: "
            + ("standard input carries the request." if from_stdin else "there is no terminal to ask on."),
            hint="Look at what would be done with: byoi-agent plan. Then add --yes.",
        )
    return True
