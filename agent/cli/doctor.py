"""``byoi-agent doctor``: what a person runs first on a rescue system."""

import platform
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from agent.cli.output import write_json, write_lines
from agent.deployment.target import read_group_config
from agent.doctor.check import Check, Result
from agent.doctor.diagnosis import Diagnosis, diagnose
from agent.exit_codes import ExitCode
from agent.version import VERSION
from partitioning.package_manager import os_release

_WIDTH = 80  # of the consoles of servers


def doctor(*, config: Path | None, json: bool) -> int:
    """Show what is there and what is missing; give the exit code."""
    found = diagnose(read_group_config(config))
    if json:
        write_json(_as_json(found))
    else:
        write_lines(list(lines(found)))
    return ExitCode.DONE if found.is_ready else ExitCode.REFUSED


def lines(found: Diagnosis) -> Iterator[str]:
    """Yield the lines for people; where there is a command that installs what is missing, it is the last."""
    system = os_release().get("PRETTY_NAME", "an unknown system")
    yield f"byoi-agent {VERSION} on {system}, {platform.machine()}"
    yield ""
    width = max(len(check.name) for check in found.checks)
    for check in found.checks:
        yield from _check_lines(check, width)
    yield ""
    yield from _wrapped(_conclusion(found))
    if found.install is not None:
        yield "This installs what can be installed:"
        yield ""
        yield found.install
    elif found.debian_names:
        yield from _wrapped(f"Install what Debian calls: {' '.join(found.debian_names)}")


def _check_lines(check: Check, width: int) -> Iterator[str]:
    start = f"  {check.result:<7}  {check.name:<{width}}  "
    yield from _wrapped(check.found, first=start, rest=" " * len(start))
    if check.to_do:
        indent = " " * len(start)
        yield from _wrapped(check.to_do, first=f"{indent}-> ", rest=f"{indent}   ")


def _wrapped(text: str, *, first: str = "", rest: str = "") -> Iterable[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _conclusion(found: Diagnosis) -> str:
    missing, warnings = (_names(found, result) for result in (Result.MISSING, Result.WARNING))
    noted = f" There are warnings: {warnings}." if warnings else ""
    if not missing:
        return f"Ready: a deployment can be carried out here.{noted}"
    return f"Not ready. What is missing: {missing}.{noted}"


def _names(found: Diagnosis, result: Result) -> str:
    return ", ".join(check.name for check in found.with_result(result))


def _as_json(found: Diagnosis) -> dict[str, Any]:
    return {
        "ready": found.is_ready,
        "checks": [
            {
                "name": check.name,
                "result": check.result,
                "found": check.found,
                "whatToDo": check.to_do or None,
            }
            for check in found.checks
        ],
        "installCommand": found.install,
    }
