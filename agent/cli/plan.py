"""``byoi-agent plan``: what deploy would do. Writes nothing, on any disk."""

import sys
from pathlib import Path

from agent.cli.listeners import listeners_for_answer
from agent.cli.output import write_json, write_lines
from agent.cli.request_flags import RequestFlags
from agent.cli.request_input import read_request
from agent.deployment.outline_view import known_json, known_lines
from agent.deployment.plan_view import target_lines
from agent.deployment.run import run_planning
from agent.deployment.target import read_group_config
from agent.exit_codes import ExitCode


def plan(request_file: str | None, flags: RequestFlags, *, config: Path | None, json: bool) -> int:
    """Show what deploy would do, and write to no disk."""
    request = read_request(request_file, flags)
    made = run_planning(
        request, group_config=read_group_config(config), listeners=listeners_for_answer(json=json)
    )
    if isinstance(made, ExitCode):
        return made
    if json:
        write_json(known_json(request, made))
    else:
        # Where both streams are on a screen, what there is to warn of stands there already.
        warnings = not (sys.stdout.isatty() and sys.stderr.isatty())
        write_lines([*target_lines(request, made.target), *known_lines(request, made, warnings=warnings)])
    return ExitCode.DONE
