"""``byoi-agent status``: where the deployment stands, also after the agent has gone."""

import time
from typing import Annotated

import typer

from agent.cli.output import write_json, write_lines
from agent.errors import Refused
from agent.exit_codes import ExitCode
from agent.reporting.plain import progress_words
from agent.run_directory import RunDirectory, run_directory
from agent.status import State, Status
from agent.status_now import status_now

_POLL = 0.5


def status(
    *,
    json: Annotated[bool, typer.Option("--json", help="The four documented fields as JSON.")] = False,
    full: Annotated[bool, typer.Option("--full", help="With --json: every field.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the deployment ends.")] = False,
) -> int:
    """Show where the deployment stands."""
    where = run_directory()
    current = _status(where)
    _show(current, json=json, full=full)
    while follow and current.status is State.DOING:
        time.sleep(_POLL)
        before, current = current, _status(where)
        if current != before:
            _show(current, json=json, full=full)
    return ExitCode.DONE


def _status(where: RunDirectory) -> Status:
    found = status_now(where)
    if found is None:
        raise Refused(
            "There is no deployment on this server.",
            detail=f"No status was found in {where.path}.",
            hint="Start one with: byoi-agent deploy",
        )
    return found


def _show(current: Status, *, json: bool, full: bool) -> None:
    if json:
        write_json(current.full() if full else current.summary())
        return
    words = [f"{current.servername}: {current.status}: {current.message}"]
    if current.progress is not None:
        words.append(f"  {progress_words(current.progress)}")
    words += [f"  {text}" for text in (current.detail, current.hint) if text]
    write_lines(words)
