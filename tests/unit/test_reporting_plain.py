import io
import sys
from itertools import pairwise

import pytest

from agent.cli.listeners import listeners_for
from agent.reporting import events
from agent.reporting.json_lines import JsonLines
from agent.reporting.plain import PlainLines
from agent.reporting.sizes import human_size, human_time
from agent.reporting.terminal import Terminal
from agent.status import Progress
from tests.unit.test_reporting_common import FAILED, ONE_OF_EACH, PROGRESS, Clock, reporter_with, status


def text_of(*told: events.Event) -> str:
    stream = io.StringIO()
    reporter = reporter_with(PlainLines(stream, Clock()))
    for event in told:
        reporter.tell(event)
    return stream.getvalue()


def test_a_deployment_in_lines() -> None:
    assert text_of(*ONE_OF_EACH[:-2], events.Finished()).splitlines() == [
        "Writing the image ...",
        "  The server did not answer; again in 1 s.",
        "Warning: The rest of the disk can not be used.",
        "  done in 2.3 s",
        "Done: the image is on /dev/sda.",
    ]


def test_a_short_step_does_not_say_how_long_it_took() -> None:
    assert text_of(events.StepFinished("disk", 0.99)) == ""
    assert text_of(events.StepFinished("disk", 1.0)) == "  done in 1.0 s\n"


def test_a_failure_tells_of_the_disk_and_what_to_do() -> None:
    chosen, touched = events.DiskChosen(status().disk or ONE_OF_EACH[4].disk), events.DiskTouched()  # type: ignore[union-attr]
    without = ["Error: Can't write raw on disk.", "  The cable came off.", "  What to do: Put it back."]
    assert text_of(FAILED).splitlines() == without
    unchanged, changed = (
        "  The disk /dev/sda was not changed.",
        "  The disk /dev/sda was changed and does not boot.",
    )
    assert text_of(chosen, FAILED).splitlines() == [*without[:2], unchanged, without[2]]
    prevented = events.BootPrevented()
    assert text_of(chosen, touched, prevented, FAILED).splitlines() == [*without[:2], changed, without[2]]
    uncertain = "  The disk /dev/sda was changed, and may start or not."
    assert text_of(chosen, touched, FAILED).splitlines() == [*without[:2], uncertain, without[2]]


def test_nothing_that_is_said_moves_the_cursor() -> None:
    evil = "a\x1b[2K\r\nDone: the image is on /dev/sda.\x9b"
    failed = events.Failed(evil, evil, evil, FAILED.exit_code)
    for told in (events.Warned(evil), events.Note(evil), events.StepStarted("write", evil), failed):
        said = text_of(told)
        assert not set(said) & {"\x1b", "\r", "\x9b"}
        assert "\nDone" not in said


def test_a_line_of_progress_every_few_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = PlainLines(stream, clock)
    moments = []
    for _ in range(300):
        clock.now += 0.1
        before = stream.tell()
        lines.handle(events.Progressed("write", PROGRESS), status())
        moments += [clock.now] if stream.tell() > before else []
    assert 5 <= len(moments) <= 6
    assert all(4.9 < later - earlier < 5.2 for earlier, later in pairwise(moments))
    assert (
        stream.getvalue().splitlines()[0]
        == "  1.0 MiB of 4.0 MiB (25 %), 1.0 MiB/s, 3 s left, limited by the network"
    )


def test_it_says_for_how_long_nothing_has_come() -> None:
    stream, clock = io.StringIO(), Clock()
    lines = PlainLines(stream, clock)
    for done in (7, 7, 7, 9):
        clock.now += 6
        lines.handle(events.Progressed("write", Progress(bytes_done=done)), status())
    assert stream.getvalue().splitlines() == [
        "  7 B",
        "  7 B, nothing new for 6 s",
        "  7 B, nothing new for 12 s",
        "  9 B",
    ]


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress(bytes_done=0), "0 B"),
        (Progress(bytes_done=1536, bytes_per_second=10), "1.5 KiB, 10 B/s"),
        (Progress(bytes_done=0, bytes_total=0), "0 B"),
        (
            Progress(bytes_done=999, bytes_total=1000, eta_seconds=0),
            "999 B of 1000 B (99 %), 0 s left",
        ),
        (Progress(bytes_done=5, bytes_total=5), "5 B of 5 B (100 %)"),
    ],
)
def test_progress_in_words(progress: Progress, words: str) -> None:
    stream, clock = io.StringIO(), Clock()
    lines = PlainLines(stream, clock)
    clock.now += 60
    lines.handle(events.Progressed("write", progress), status())
    assert stream.getvalue() == f"  {words}\n"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1 << 20, "1.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (1 << 40, "1.0 TiB"),
        (1 << 50, "1.0 PiB"),
    ],
)
def test_sizes(count: int, words: str) -> None:
    assert human_size(count) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3600, "1 h 00 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_times(seconds: float, words: str) -> None:
    assert human_time(seconds) == words


@pytest.mark.parametrize(("json", "kinds"), [(False, [PlainLines]), (True, [JsonLines, PlainLines])])
def test_who_listens_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, json: bool, kinds: list[type]
) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    listeners = listeners_for(json=json)
    assert [type(listener) for listener in listeners] == kinds
    for listener in listeners:
        listener.handle(events.Warned("Careful."), status())
    assert "Warning: Careful." in err.getvalue()
    assert ("Careful." in out.getvalue()) == json


def test_who_listens_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    err = io.StringIO()
    monkeypatch.setattr(err, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", err)
    (listener,) = listeners_for(json=False)
    assert isinstance(listener, Terminal)
    listener.handle(events.Warned("Careful."), status())
    assert "Careful." in err.getvalue()
