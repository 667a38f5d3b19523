"""Plain lines: for a serial console, a log file, or a pipe. A line every few seconds, never a bar."""

import time
from collections.abc import Callable
from typing import NamedTuple, TextIO

from agent.fetch.redaction import printable
from agent.reporting import events
from agent.reporting.patient_stream import PatientStream
from agent.reporting.sizes import human_size, human_time
from agent.status import Progress, Status

_INTERVAL = 5.0


class _Moved(NamedTuple):
    """When progress was last seen to move, and to where."""

    step: str | None
    bytes_done: int
    moment: float


class PlainLines:
    """Writes what happens as sentences, one a line."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to ``stream``."""
        self._stream = PatientStream(stream)
        self._clock = clock
        self._last_progress = clock()
        self._moved = _Moved(None, 0, clock())

    def handle(self, event: events.Event, status: Status) -> None:
        """Write the line for ``event``, if it has one."""
        text = (
            self._progress_line(event) if isinstance(event, events.Progressed) else event_line(event, status)
        )
        if text is not None:
            self._stream.write(text + "\n")

    def close(self) -> None:
        """Do nothing: a line that was written is complete."""

    def _progress_line(self, event: events.Progressed) -> str | None:
        moment = self._clock()
        if moment - self._last_progress < _INTERVAL or not self._stream.ready():
            return None
        self._last_progress = moment
        return f"  {progress_words(event.progress)}{self._standstill(event, moment)}"

    def _standstill(self, event: events.Progressed, moment: float) -> str:
        """Say for how long nothing has moved, when that is for longer than from one line to the next."""
        last, done = self._moved, event.progress.bytes_done
        if (event.step, done) != (last.step, last.bytes_done):
            self._moved = _Moved(event.step, done, moment)
            return ""
        return f", nothing new for {human_time(moment - last.moment)}"


def event_line(event: events.Event, status: Status) -> str | None:
    """Give what a person reads for ``event``; None where there is nothing to say.

    Texts may come from outside: nothing in them moves the cursor of a terminal or begins a line.
    """
    match event:
        case events.StepStarted(_, title):
            return f"{printable(title)} ..."
        case events.StepFinished(_, seconds):
            return f"  done in {seconds:.1f} s" if seconds >= 1 else None
        case events.Note(text):
            return f"  {printable(text)}"
        case events.Warned(text):
            return f"Warning: {printable(text)}"
        case events.Finished():
            return done_line(status)
        case events.Failed():
            return failure_text(event, status)
    return None


def progress_words(progress: Progress) -> str:
    """Give progress in words: how much, of how much, how fast, how long still."""
    words = human_size(progress.bytes_done)
    if progress.bytes_total:
        percent = 100 * progress.bytes_done // progress.bytes_total
        words += f" of {human_size(progress.bytes_total)} ({percent} %)"
    if progress.bytes_per_second:
        words += f", {human_size(progress.bytes_per_second)}/s"
    if progress.eta_seconds is not None:
        words += f", {human_time(progress.eta_seconds)} left"
    if progress.limited_by is not None:
        words += f", limited by the {progress.limited_by}"
    return words


def done_line(status: Status) -> str:
    """Say that it is done, and on which disk."""
    return printable(f"Done: the image is on {status.disk.path}.") if status.disk else "Done."


def disk_lines(status: Status) -> list[str]:
    """Say what state the disk of ``status`` is in; nothing where none has been chosen yet."""
    return [f"  The disk {status.disk.path} {status.disk_state}."] if status.disk else []


def failure_text(event: events.Failed, status: Status) -> str:
    """Say what went wrong, what state the disk is in, and what to do."""
    lines = [f"Error: {event.message}", f"  {event.detail}"]
    lines += disk_lines(status)
    return "\n".join(printable(line) for line in [*lines, f"  What to do: {event.hint}"])
