"""``byoi-agent status``: where the deployment stands, also after the agent has gone."""

import os
import sys
import time
from collections.abc import Iterator
from json import dumps

from agent import run_lock
from agent.cli.listeners import listener_for_people
from agent.cli.output import write_json, write_lines
from agent.errors import Refused, RequestError
from agent.exit_codes import ExitCode
from agent.reporting.patient_stream import PatientStream
from agent.reporting.replay import events_between
from agent.reporting.status_lines import status_lines
from agent.run_directory import RunDirectory, run_directory
from agent.status import State, Status
from agent.status_now import status_now

_POLL = 0.5


def status(*, json: bool, full: bool, follow: bool) -> int:
    """Show where the deployment stands; give the exit code."""
    if full and not json:
        raise RequestError(
            "The command line of byoi-agent status is wrong.",
            detail="--full goes with --json.",
            hint="Add --json. Without it, all that a person needs is shown anyway.",
        )
    where = run_directory()
    if not follow:
        _show(_status(where), json=json, full=full)
        return ExitCode.DONE
    try:
        return _follow_as_json(where, full=full) if json else _follow(where)
    except KeyboardInterrupt:
        sys.stderr.write("\nNo longer watching; the deployment goes on.\n")
        return ExitCode.INTERRUPTED
    except OSError as error:
        raise Refused(
            "The deployment is no longer watched.",
            detail=f"What was shown could not be written: {os.strerror(error.errno or 0)}.",
            hint="The deployment goes on. Watch it again with: byoi-agent status --follow",
        ) from None


def _follow(where: RunDirectory) -> int:
    listener, before = listener_for_people(sys.stdout), None
    try:
        for current in _looks(where):
            for event in events_between(before, current):
                listener.handle(event, current)
            before = current
    finally:
        listener.close()
    return _exit_code(before)


def _follow_as_json(where: RunDirectory, *, full: bool) -> int:
    stream, written, current = PatientStream(sys.stdout), None, None
    for current in _looks(where):
        fields = current.full() if full else current.summary()
        if fields != written:
            stream.write(dumps(fields) + "\n")
        written = fields
    return _exit_code(current)


def _looks(where: RunDirectory) -> Iterator[Status]:
    """Yield the status, again and again, until the deployment has ended.

    One that has ended while the lock is held is that of the deployment before, or is just letting go.
    """
    first = None
    while True:
        current = _status(where)
        ended = current.status is not State.DOING
        if not (ended and run_lock.is_held(where.lock)):
            first = first or current
            _refuse_other(first, current)
            yield current
            if ended:
                return
        time.sleep(_POLL)


def _refuse_other(first: Status, current: Status) -> None:
    if current.started_at != first.started_at:
        raise Refused(
            "Another deployment has begun.",
            detail="The one that was watched has ended meanwhile; how it ended is not known any more.",
            hint="Look at the new one with: byoi-agent status --follow",
        )


def _exit_code(ended: Status | None) -> int:
    if ended is None or ended.status is State.DONE:
        return ExitCode.DONE
    return ExitCode.DEFECT if ended.exit_code is None else ended.exit_code


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
    write_lines(status_lines(current))
