"""``byoi-agent plan``: what deploy would do. Writes nothing, on any disk."""

from typing import Annotated

import typer

from agent.cli.deploy import ConfigOption, RequestArgument
from agent.cli.listeners import listeners_for_answer
from agent.cli.output import write_json, write_lines
from agent.cli.request_flags import RequestFlags, with_request_flags
from agent.cli.request_input import read_request
from agent.deployment.outline_view import known_json, known_lines
from agent.deployment.plan_view import target_lines
from agent.deployment.target import read_group_config
from agent.exit_codes import ExitCode


@with_request_flags
def plan(
    *,
    request_file: RequestArgument = None,
    flags: RequestFlags,
    config: ConfigOption = None,
    json: Annotated[bool, typer.Option("--json", help="The plan as one JSON object.")] = False,
    yes: Annotated[bool, typer.Option("--yes", hidden=True)] = False,  # noqa: ARG001 - as deploy has it
) -> int:
    """Show what deploy would do, and write to no disk."""
    from agent.deployment.run import run_planning

    request = read_request(request_file, flags)
    made = run_planning(
        request, group_config=read_group_config(config), listeners=listeners_for_answer(json=json)
    )
    if isinstance(made, ExitCode):
        return made
    if json:
        write_json(known_json(request, made))
    else:
        write_lines([*target_lines(request, made.target), *known_lines(request, made)])
    return ExitCode.DONE
