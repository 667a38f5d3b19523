"""What the commands write that is not part of a running deployment."""

import json
import sys

import typer

from agent.deployment.failure import exit_code_before_writing
from agent.exit_codes import ExitCode
from partitioning.errors import ExplainedError


def show_failure(error: ExplainedError) -> ExitCode:
    """Write what happened and what to do to standard error; return the exit code."""
    sys.stderr.write(f"Error: {error.message}\n  {error.detail}\n  What to do: {error.hint}\n")
    return exit_code_before_writing(error)


def show_usage_error(error: typer.TyperException) -> ExitCode:
    """Say what is wrong with the command line."""
    sys.stderr.write(f"Error: {error.format_message()}\n  What to do: byoi-agent --help\n")
    return ExitCode.WRONG_REQUEST


def write_json(value: object) -> None:
    """Write one JSON value on one line of standard output."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
