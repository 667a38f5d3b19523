import io
import json
from typing import Any

import pytest

from agent.reporting import events
from agent.reporting.json_lines import JsonLines
from tests.unit.test_reporting_common import FAILED, ONE_OF_EACH, Clock, reporter_with

DOCUMENTED = {"step_started", "step_finished", "progress", "warning", "error", "done"}
STATUS_FIELDS = {
    "servername",
    "status",
    "message",
    "checksum",
    "detail",
    "hint",
    "step",
    "steps",
    "progress",
    "disk",
    "diskTouched",
    "warnings",
    "startedAt",
    "finishedAt",
    "description",
}


def lines_of(*told: events.Event) -> list[dict[str, Any]]:
    stream = io.StringIO()
    reporter = reporter_with(JsonLines(stream))
    for event in told:
        reporter.tell(event)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_only_documented_events() -> None:
    lines = lines_of(*ONE_OF_EACH)
    assert {line["event"] for line in lines} == DOCUMENTED
    assert all(line["v"] == 1 for line in lines)
    assert len(lines) == len(DOCUMENTED)


def test_the_fields_of_each_event() -> None:
    started, progress, warning, finished = lines_of(*ONE_OF_EACH[:-2])
    assert started == {"v": 1, "event": "step_started", "step": "write", "message": "Writing the image"}
    assert finished == {"v": 1, "event": "step_finished", "step": "write", "seconds": 2.346}
    assert warning == {"v": 1, "event": "warning", "message": "The rest of the disk can not be used."}
    numbers = {"bytesDone": 1 << 20, "bytesTotal": 4 << 20, "bytesPerSecond": 1 << 20, "etaSeconds": 3}
    assert progress == {"v": 1, "event": "progress", "step": "write", **numbers, "limitedBy": "network"}


@pytest.mark.parametrize(
    ("end", "event", "code"), [(FAILED, "error", 5), (events.Finished(), "done", 0)], ids=["error", "done"]
)
def test_the_last_line_is_the_final_status(end: events.Event, event: str, code: int) -> None:
    last = lines_of(*ONE_OF_EACH[:-2], end)[-1]
    assert last.keys() == STATUS_FIELDS | {"v", "event", "exitCode"}
    assert (last["event"], last["exitCode"], last["status"]) == (event, code, event)
    assert (last["servername"], last["checksum"], last["diskTouched"]) == ("ns1", "abc", True)
    assert last["disk"] == {"path": "/dev/sda", "model": "Fast 1", "serial": "S1", "size": 1 << 40}
    assert last["steps"][0] == {"name": "fetch", "state": "pending", "seconds": None}
    assert last["warnings"] == ["The rest of the disk can not be used."]
    assert last["finishedAt"].endswith("Z")


def test_an_error_says_what_and_what_to_do() -> None:
    last = lines_of(FAILED)[-1]
    assert [last[name] for name in ("message", "detail", "hint")] == [
        FAILED.message,
        FAILED.detail,
        FAILED.hint,
    ]


def test_a_line_is_a_line_whatever_is_said() -> None:
    stream = io.StringIO()
    JsonLines(stream).handle(events.Warned("a\nb\u2028ü"), reporter_with().status)
    assert stream.getvalue().isascii()
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue())["message"] == "a\nb\u2028ü"


class Buffered(io.StringIO):
    """Counts how often it is flushed."""

    flushed = 0

    def flush(self) -> None:
        self.flushed += 1


def test_every_line_leaves_at_once() -> None:
    stream = Buffered()
    reporter = reporter_with(JsonLines(stream), clock=Clock())
    reporter.warn("a")
    reporter.warn("b")
    assert stream.flushed == 2
