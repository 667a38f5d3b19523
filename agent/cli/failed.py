"""What an error means on the command line: its words and its exit code."""

import typer

from agent.cli.usage import usage_error
from agent.deployment.failure import defect, exit_code_before_writing
from agent.exit_codes import ExitCode
from agent.reporting.events import Failed
from partitioning.errors import ExplainedError

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
    if isinstance(error, ExplainedError):
        return Failed(error.message, error.detail, error.hint, exit_code_before_writing(error))
    return defect(error)
