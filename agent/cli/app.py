"""The commands, and how errors leave the process."""

import sys
from typing import Annotated

import typer

from agent.cli import cancel, deploy, disks, plan, status
from agent.cli.output import show_failure, show_usage_error
from agent.exit_codes import ExitCode
from agent.version import VERSION
from partitioning.errors import ExplainedError

app = typer.Typer(
    name="byoi-agent",
    help="Puts an operating-system image onto this server's disk, so that the server boots it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
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


def run() -> int:
    """Carry out the command line and return the exit code."""
    try:
        result = app(sys.argv[1:] or ["--help"], prog_name="byoi-agent", standalone_mode=False)
    except ExplainedError as error:
        return show_failure(error)
    except typer.Abort:
        sys.stderr.write("Stopped; nothing was changed.\n")
        return ExitCode.INTERRUPTED
    except typer.TyperException as error:
        return show_usage_error(error)
    return result if isinstance(result, int) else ExitCode.DONE
