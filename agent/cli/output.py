"""What the commands write that is not part of a running deployment."""

import contextlib
import json
import socket
import sys
from collections.abc import Sequence
from typing import Any

from agent.exit_codes import ExitCode
from agent.fetch.redaction import printable
from agent.reporting.events import Failed
from agent.reporting.json_lines import JsonLines
from agent.reporting.patient_stream import PatientStream
from agent.reporting.plain import failure_text
from agent.reporting.status_change import apply
from agent.status import Status, now

_COMMANDS_WITH_EVENTS = ("deploy", "plan")


def show_failure(failed: Failed, words: Sequence[str] = ()) -> ExitCode:
    """Write what happened and what to do to standard error; return the exit code.

    Where ``words``, the command line, ask for JSON, standard output gets it as its last line.
    """
    nothing = Status(servername=socket.gethostname(), started_at=now())
    if "--json" in words:
        with contextlib.suppress(OSError):
            _write_json_failure(failed, apply(failed, nothing), words[0])
    sys.stderr.write(f"{failure_text(failed, nothing)}\n")
    return failed.exit_code


def _write_json_failure(failed: Failed, status: Status, command: str) -> None:
    if command in _COMMANDS_WITH_EVENTS:
        JsonLines(sys.stdout).handle(failed, status)
    else:
        PatientStream(sys.stdout).write(json.dumps(_error_line(failed, status)) + "\n")


def _error_line(failed: Failed, status: Status) -> dict[str, Any]:
    # What has nothing to do with a deployment says nothing of steps and disks.
    fields = {"exitCode": int(failed.exit_code), **status.summary()}
    return {"v": 1, "event": "error", **fields, "detail": status.detail, "hint": status.hint}


def write_lines(lines: Sequence[str]) -> None:
    """Write lines for people; nothing in them moves the cursor of a terminal."""
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))
    sys.stdout.flush()


def write_json(value: object) -> None:
    """Write one JSON value on one line of standard output."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
