"""What an error means on the command line: its words and its exit code."""

import typer

from agent.cli.usage import usage_error
from agent.deployment.failure import explain_before_writing
from agent.exit_codes import ExitCode
from agent.reporting.events import Failed

_STOPPED = Failed(
    "The command was interrupted.",
    "The agent received SIGINT.",
    "Start it again when you are ready.",
    ExitCode.INTERRUPTED,
)


def failed(error: Exception, command: str | None) -> Failed:
    """Say what ``error`` means. ``command`` is the command that was meant; None where it is none of them."""
    if isinstance(error, typer.Abort):
        return _STOPPED
    if isinstance(error, typer.TyperException):
        error = usage_error(error, command)
    return explain_before_writing(error)
