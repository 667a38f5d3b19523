"""Events as JSON, one object a line; the last line is the final status."""

import json
from typing import Any, TextIO

from agent.reporting import events
from agent.reporting.patient_stream import PatientStream
from agent.status import Status

VERSION = 1


class JsonLines:
    """Writes each event as one line of JSON."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream`` and to nothing else."""
        self._stream = PatientStream(stream)

    def handle(self, event: events.Event, status: Status) -> None:
        """Write one line, and be sure that it has left; progress only while somebody reads."""
        fields = _fields(event, status)
        if fields is None or (isinstance(event, events.Progressed) and not self._stream.ready()):
            return
        self._stream.write(json.dumps({"v": VERSION, **fields}) + "\n")


class JsonFailure:
    """Writes a failure as one line of JSON, and nothing else: for a command with an answer of its own."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._lines = JsonLines(stream)

    def handle(self, event: events.Event, status: Status) -> None:
        """Write the line of a failure."""
        if isinstance(event, events.Failed):
            self._lines.handle(event, status)


def _fields(event: events.Event, status: Status) -> dict[str, Any] | None:
    match event:
        case events.StepStarted(step, title):
            return {"event": "step_started", "step": step, "message": title}
        case events.StepFinished(step, seconds):
            return {"event": "step_finished", "step": step, "seconds": round(seconds, 3)}
        case events.Progressed(step, progress):
            return {"event": "progress", "step": step, **progress.model_dump(by_alias=True)}
        case events.Warned(text):
            return {"event": "warning", "message": text}
        case events.Failed(exit_code=code):
            return {"event": "error", "exitCode": int(code), **status.full()}
        case events.Finished():
            return {"event": "done", "exitCode": 0, **status.full()}
    return None
