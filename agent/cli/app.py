"""The commands, and how errors leave the process."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from agent.cli import cancel, deploy, disks, plan, status
from agent.cli.output import show_failure, usage_error
from agent.cli.standard_streams import prepare_standard_streams
from agent.deployment.failure import defect, exit_code_before_writing
from agent.exit_codes import ExitCode
from agent.reporting.events import Failed
from agent.version import VERSION
from partitioning.errors import ExplainedError

app = typer.Typer(
    name="byoi-agent",
    help="Puts an operating-system image onto this server's disk, so that the server boots it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("disks")(disks.disks)
app.command("plan")(plan.plan)
app.command("deploy")(deploy.deploy)
app.command("status")(status.status)
app.command("cancel")(cancel.cancel)


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


_STOPPED = Failed(
    "The command was interrupted.",
    "The agent received SIGINT.",
    "Start it again when you are ready.",
    ExitCode.INTERRUPTED,
)


def run() -> int:
    """Carry out the command line and return the exit code.

    What a deployment says of its own failure has been said when this gets to know of it.
    """
    prepare_standard_streams()
    words = sys.argv[1:]
    try:
        result = app(words or ["--help"], prog_name="byoi-agent", standalone_mode=False)
    except typer.Abort:
        return show_failure(_STOPPED, words)
    except Exception as error:
        return show_failure(_failed(error, words), words)
    return result if isinstance(result, int) else ExitCode.DONE


def _failed(error: Exception, words: Sequence[str]) -> Failed:
    if isinstance(error, typer.TyperException):
        known = {command.name for command in app.registered_commands}
        error = usage_error(error, words[0] if words and words[0] in known else None)
    if isinstance(error, ExplainedError):
        return Failed(error.message, error.detail, error.hint, exit_code_before_writing(error))
    return defect(error)
