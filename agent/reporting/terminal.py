"""A terminal: a line a step, and a progress bar with rate and remaining time below it."""

from typing import TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from agent.reporting import events
from agent.reporting.patient_stream import PatientStream
from agent.reporting.plain import event_line, progress_words
from agent.status import Progress, Status


class Terminal:
    """Shows what happens on a terminal."""

    def __init__(self, console: Console) -> None:
        """Draw on ``console``."""
        self._console = console
        self._stream = PatientStream(cast("TextIO", console.file))
        console.file = cast("TextIO", self._stream)
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    def handle(self, event: events.Event, status: Status) -> None:
        """Show ``event``."""
        match event:
            case events.Progressed(_, progress) if self._stream.ready():
                self._move_bar(progress)
            case events.StepFinished() | events.Failed() | events.Finished():
                self.close()
        line = event_line(event, status)
        if line is not None:
            first, *rest = line.splitlines()
            self._print(first, _style(event))
            for text in rest:
                self._print(text, "")

    def _print(self, line: str, style: str) -> None:
        self._console.print(line, style=style, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def _move_bar(self, progress: Progress) -> None:
        if self._bars is None:
            self._bars = Bars(
                TextColumn(" "),
                BarColumn(),
                TextColumn("{task.description}", markup=False),
                console=self._console,
                transient=True,
                # Nothing is drawn behind the listener's back: a terminal that was stopped (Ctrl-S) would hold
                # a thread for ever, and standard output belongs to the program that reads the JSON.
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._bars.start()
            self._task = self._bars.add_task("")
        if self._task is not None:
            self._bars.update(
                self._task,
                completed=progress.bytes_done,
                total=progress.bytes_total,
                description=progress_words(progress),
                refresh=True,
            )

    def close(self) -> None:
        """Take the bar away and give the terminal its cursor back."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = self._task = None


def _style(event: events.Event) -> str:
    match event:
        case events.Failed():
            return "bold red"
        case events.Warned():
            return "yellow"
        case events.Finished():
            return "bold green"
    return ""
