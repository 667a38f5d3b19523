"""Who listens to a deployment on the command line: a terminal, plain lines, or a program."""

import sys
from typing import TYPE_CHECKING, TextIO

from agent.reporting.json_lines import JsonFailure, JsonLines
from agent.reporting.plain import PlainLines
from agent.reporting.reporter import Listener

if TYPE_CHECKING:
    from agent.reporting.terminal import Terminal


def listeners_for(*, json: bool) -> list[Listener]:
    """Choose the listeners.

    With ``json``, standard output carries JSON and nothing else. Messages for people go to standard error
    in any case.
    """
    if not json:
        return [listener_for_people(sys.stderr)]
    # Lines of JSON on the same terminal would be drawn into the bar.
    people = PlainLines(sys.stderr) if sys.stdout.isatty() else listener_for_people(sys.stderr)
    return [JsonLines(sys.stdout), people]


def listeners_for_answer(*, json: bool) -> list[Listener]:
    """Choose the listeners of a command that writes its answer itself: they write what went wrong."""
    people = listener_for_people(sys.stderr)
    return [JsonFailure(sys.stdout), people] if json else [people]


def listener_for_people(stream: TextIO) -> "PlainLines | Terminal":
    """Choose bars for a terminal, and plain lines for all else."""
    if not stream.isatty():
        return PlainLines(stream)
    from rich.console import Console

    from agent.reporting.terminal import Terminal

    return Terminal(Console(file=stream))
