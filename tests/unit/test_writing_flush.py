import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from agent.writing import flush as module
from agent.writing.flush import flush
from partitioning.errors import DiskWriteError
from partitioning.open_disk import OpenDisk

KIB = 1024


class SlowDisk(OpenDisk):
    """A disk whose flush ends when it is told to."""

    def __init__(self, error: DiskWriteError | None = None) -> None:
        super().__init__(Path("/dev/sda"), -1, size=512, sector_size=512, is_block_device=False)
        self.may_end = threading.Event()
        self.flushed = 0
        self.error = error

    def flush(self) -> None:
        self.may_end.wait(10)
        self.flushed += 1
        if self.error:
            raise self.error


class Clock:
    """A clock that moves only when told."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "_POLL", 0.001)
    return clock


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Callable[[SlowDisk, Iterable[int]], None]:
    """Let so many bytes wait at each look; when there is nothing more to see, the flush ends."""

    def arrange(disk: SlowDisk, amounts: Iterable[int]) -> None:
        left = iter(amounts)
        last = 0

        def look() -> int:
            nonlocal last
            try:
                last = next(left)
            except StopIteration:
                disk.may_end.set()
            return last

        monkeypatch.setattr(module, "_waiting_bytes", look)

    return arrange


Waiting = Callable[[SlowDisk, Iterable[int]], None]


def test_progress(clock: Clock, waiting: Waiting) -> None:
    disk = SlowDisk()
    told: list[tuple[int, int]] = []
    waiting(disk, [100, 120, 60, 5])
    flush(disk, lambda done, total: told.append((done, total)))
    assert told[:3] == [(0, 120), (60, 120), (115, 120)]
    assert set(told[3:]) <= {(115, 120)}
    assert disk.flushed == 1


def test_an_error_of_an_earlier_write(clock: Clock, waiting: Waiting) -> None:
    error = DiskWriteError("m", detail="d", hint="h")
    disk = SlowDisk(error)
    waiting(disk, [])
    with pytest.raises(DiskWriteError) as caught:
        flush(disk, lambda *_: None)
    assert caught.value is error


def test_nothing_moves(clock: Clock, waiting: Waiting) -> None:
    disk = SlowDisk()

    def pass_time(*_: int) -> None:
        clock.now += 1000

    waiting(disk, [500] * 1_000_000)
    with pytest.raises(DiskWriteError) as caught:
        flush(disk, pass_time)
    disk.may_end.set()
    assert caught.value.message == "Writing to /dev/sda has stopped."
    assert caught.value.detail == "500 bytes are waiting, and none has reached a disk for 1800 s."
    assert clock.now == 2000


def test_a_slow_disk_is_waited_for(clock: Clock, waiting: Waiting) -> None:
    disk = SlowDisk()

    def pass_time(*_: int) -> None:
        clock.now += 0 if disk.may_end.is_set() else 1000

    waiting(disk, range(50, 0, -1))
    flush(disk, pass_time)
    assert disk.flushed == 1
    assert clock.now == 49_000


def test_how_much_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nDirty:        12 kB\nWriteback:     3 kB\nWritebackTmp: 100 kB\n")
    monkeypatch.setattr(module, "_MEMINFO", meminfo)
    assert module._waiting_bytes() == 15 * KIB


def test_this_machine_tells_how_much_waits() -> None:
    assert module._waiting_bytes() >= 0
