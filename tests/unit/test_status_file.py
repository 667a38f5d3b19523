import errno
import json
import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.errors import Refused
from agent.reporting import events, status_file
from agent.reporting.status_file import StatusFile
from agent.status import SUMMARY_FIELDS, State, StepState, now
from tests.unit.test_reporting_common import DISK, ONE_OF_EACH, PROGRESS, Clock, reporter_with, status

PROGRESSED = events.Progressed("write", PROGRESS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "status.json"


def test_what_is_written_is_read(path: Path) -> None:
    full = status(disk=DISK, progress=PROGRESS, warnings=("ü",), disk_touched=True, detail="a\nb")
    status_file.write(path, full)
    assert status_file.read(path) == full
    assert json.loads(path.read_bytes()) == full.full()


def test_what_is_not_public_is_kept_too(path: Path) -> None:
    failed = status(disk_touched=True, disk_may_boot=True, exit_code=5)
    status_file.write(path, failed)
    assert status_file.read(path) == failed
    assert not {"diskMayBoot", "exitCode"} & failed.full().keys()


def test_every_event_is_written(path: Path) -> None:
    reporter = reporter_with(StatusFile(path, Clock()))
    for event in ONE_OF_EACH:
        reporter.tell(event)
        assert status_file.read(path) == reporter.status


def test_progress_is_written_once_a_second(path: Path) -> None:
    clock = Clock()
    listener = StatusFile(path, clock)
    written = 0
    for number in range(100):
        clock.now += 0.1
        listener.handle(PROGRESSED, status(message=str(number)))
        if path.exists():
            path.unlink()
            written += 1
    assert 9 <= written <= 11


def test_it_is_its_owners_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        status_file.write(path, status())
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_left_beside_it(path: Path) -> None:
    status_file.write(path, status())
    status_file.write(path, status(message="b"))
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_never_sees_half_of_it(path: Path) -> None:
    status_file.write(path, status())
    ended = threading.Event()
    bad: list[bytes] = []
    good: list[bytes] = []

    def read() -> None:
        while not ended.is_set():
            text = path.read_bytes()
            (good if text.endswith(b"}") and json.loads(text)["servername"] == "ns1" else bad).append(text)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(100):
        status_file.write(path, status(warnings=("x" * 5000,) * (number % 20)))
    ended.set()
    reader.join()
    assert (len(bad), len(good) > 0) == (0, True)


def test_no_file_is_no_status(path: Path) -> None:
    assert status_file.read(path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"servername": "a"}', b"\xff"])
def test_what_is_damaged_is_not_taken_for_nothing(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Refused, match="is damaged, or was written by another version"):
        status_file.read(path)


def test_the_four_documented_fields() -> None:
    shown = status(checksum="ab", status=State.DONE, message="done").summary()
    assert shown == {"servername": "ns1", "status": "done", "message": "done", "checksum": "ab"}
    assert tuple(shown) == SUMMARY_FIELDS


def test_the_words_of_the_status() -> None:
    assert list(State) == ["doing", "done", "error"]
    assert list(StepState) == ["pending", "doing", "done", "failed"]


def test_this_moment() -> None:
    assert datetime.now(UTC) - datetime.strptime(now(), "%Y-%m-%dT%H:%M:%S%z") < timedelta(minutes=1)
    assert now().endswith("Z")


def test_what_was_begun_is_taken_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    status_file.write(path, status())
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        status_file.write(path, status(message="b"))
    assert list(path.parent.iterdir()) == [path]
    assert status_file.read(path) == status()


def test_whether_the_disk_may_boot_stays_on_file(path: Path) -> None:
    full = status(disk_touched=True, disk_may_boot=True)
    status_file.write(path, full)
    assert status_file.read(path) == full
    assert "diskMayBoot" not in full.full()
