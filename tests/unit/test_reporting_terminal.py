import io
import threading

import pytest
from rich.console import Console

from agent.reporting import events
from agent.reporting.terminal import Terminal
from agent.status import Progress
from tests.misbehaving_server import wait_until
from tests.unit.test_reporting_common import FAILED, ONE_OF_EACH, reporter_with

SIZES = [(0, None), (1 << 20, None), (1 << 20, 4 << 20), (4 << 20, 4 << 20), (0, 0), (5, 4)]


def show(*told: events.Event, width: int = 100) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, color_system="standard")
    reporter = reporter_with(Terminal(console))
    for event in told:
        reporter.tell(event)
    return stream.getvalue()


def progressed(done: int, total: int | None) -> events.Event:
    return events.Progressed("write", Progress(bytes_done=done, bytes_total=total))


@pytest.mark.parametrize("width", [20, 100])
@pytest.mark.parametrize("end", [FAILED, events.Finished(), events.StepFinished("write", 2)])
def test_bars_are_drawn_and_taken_away(end: events.Event, width: int) -> None:
    before = threading.active_count()
    moved = [progressed(done, total) for done, total in SIZES]
    shown = show(ONE_OF_EACH[0], *moved, *ONE_OF_EACH[2:6], end, width=width)
    assert "━" in shown
    wait_until(lambda: threading.active_count() == before)
    # The cursor that the bar hid is back.
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_a_bar_moves() -> None:
    shown = show(progressed(1 << 20, None), progressed(3 << 20, 4 << 20), events.StepFinished("write", 2))
    assert "3.0 MiB of 4.0 MiB (75 %)" in shown


def test_what_is_said_stands_above_the_bar() -> None:
    shown = show(*ONE_OF_EACH[:-2], events.Finished())
    for line in ("Writing the image ...", "Warning: The rest of the disk", "Done: the image is on /dev/sda."):
        assert line in shown


def test_a_failure_is_shown_whole_in_red() -> None:
    shown = show(events.DiskTouched(), FAILED, width=20)
    assert "\x1b[1;31mError: Can't write raw on disk.\x1b[0m\n" in shown
    assert "What to do: Put it back." in shown


def test_nothing_that_is_said_is_taken_for_markup() -> None:
    text = "[red]/dev/[/foo] :smile: \\"
    assert text in show(events.Warned(text))


def test_the_next_step_has_a_bar_of_its_own() -> None:
    step = [events.StepStarted("write", "Writing"), progressed(1, 2), events.StepFinished("write", 0)]
    assert show(*step, *step).count("\x1b[?25l") == 2
