"""The commands, and how errors leave the process."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from agent.cli import commands
from agent.cli.standard_streams import prepare_standard_streams
from agent.exit_codes import ExitCode
from agent.version import VERSION

app = typer.Typer(
    name="byoi-agent",
    help="Puts an operating-system image onto this server's disk, so that the server boots it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("doctor")(commands.doctor)
app.command("disks")(commands.disks)
app.command("plan")(commands.plan)
app.command("deploy")(commands.deploy)
app.command("status")(commands.status)
app.command("cancel")(commands.cancel)
app.command("serve")(commands.serve)
app.command("boot")(commands.boot)
_COMMANDS = {command.name for command in app.registered_commands}


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - the signature is typer's
    if wanted:
        typer.echo(f"byoi-agent {VERSION}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def run() -> int:
    """Carry out the command line and return the exit code.

    What a deployment says of its own failure has been said when this gets to know of it.
    """
    prepare_standard_streams()
    words = sys.argv[1:]
    try:
        result = app(words or ["--help"], prog_name="byoi-agent", standalone_mode=False)
    except Exception as error:
        return _failed(error, words)
    return result if isinstance(result, int) else ExitCode.DONE


def _failed(error: Exception, words: Sequence[str]) -> ExitCode:
    from agent.cli.failed import failed  # loads much that --help has no need of
    from agent.cli.output import show_failure

    command = words[0] if words and words[0] in _COMMANDS else None
    return show_failure(failed(error, command), words)
