import errno
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from partitioning import flushing as module
from partitioning.errors import DiskWriteError
from partitioning.flushing import OnProgress, wait_for_medium

KIB = 1024
DISK = Path("/dev/sda")


class Clock:
    """A clock that moves only when told."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


class SlowDisk:
    """A disk whose flush ends when it is told to."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.may_end = threading.Event()
        self.flushed = 0
        self.error = error

    def call(self) -> None:
        self.may_end.wait(10)
        self.flushed += 1
        if self.error:
            raise self.error

    def wait(self, on_progress: OnProgress | None = None) -> None:
        try:
            wait_for_medium(DISK, self.call, on_progress)
        finally:
            self.may_end.set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "_POLL", 0.001)
    return clock


Waiting = Callable[[SlowDisk, Iterable[int]], None]


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
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


def test_progress(clock: Clock, waiting: Waiting) -> None:
    disk = SlowDisk()
    told: list[tuple[int, int]] = []
    waiting(disk, [100, 120, 60, 5])
    disk.wait(lambda done, total: told.append((done, total)))
    assert told[:3] == [(0, 120), (60, 120), (115, 120)]
    assert set(told[3:]) <= {(115, 120)}
    assert disk.flushed == 1


def test_nobody_need_listen(clock: Clock, waiting: Waiting) -> None:
    disk = SlowDisk()
    waiting(disk, [100, 50])
    disk.wait()
    assert disk.flushed == 1


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), MemoryError()])
def test_whatever_the_call_raises_reaches_the_caller(
    clock: Clock, waiting: Waiting, error: BaseException
) -> None:
    disk = SlowDisk(error)
    waiting(disk, [])
    with pytest.raises(type(error)) as caught:
        disk.wait()
    assert caught.value is error


def test_nothing_leaves_the_cache(clock: Clock, waiting: Waiting) -> None:
    disk = SlowDisk()

    def pass_time(*_: int) -> None:
        clock.now += 1000

    # More to write is not life of the disk.
    waiting(disk, range(500, 1_000_000))
    with pytest.raises(DiskWriteError) as caught:
        disk.wait(pass_time)
    assert caught.value.message == "Writing to /dev/sda has stopped."
    assert caught.value.detail == "503 bytes are waiting, and none has reached a disk for 1800 s."
    assert clock.now == 2000


def test_a_slow_disk_is_waited_for(clock: Clock, waiting: Waiting) -> None:
    disk = SlowDisk()

    def pass_time(*_: int) -> None:
        clock.now += 0 if disk.may_end.is_set() else 1000

    waiting(disk, range(20, 0, -1))
    disk.wait(pass_time)
    assert disk.flushed == 1
    assert clock.now == 19_000


def test_a_disk_that_looks_alive_is_not_waited_for_without_end(clock: Clock, waiting: Waiting) -> None:
    disk = SlowDisk()

    def pass_time(*_: int) -> None:
        clock.now += 1000

    # Another disk is written to all the time.
    waiting(disk, [100, 50] * 1_000_000)
    with pytest.raises(DiskWriteError) as caught:
        disk.wait(pass_time)
    assert caught.value.message == "Writing to /dev/sda takes too long."
    assert "the flush has not ended within 21600 s" in caught.value.detail
    assert clock.now == 22_000


def test_what_is_done_at_once_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL", 20)
    began = time.monotonic()
    wait_for_medium(DISK, lambda: None, lambda *_: pytest.fail("there is no progress to tell"))
    assert time.monotonic() - began < 5


def test_how_much_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nDirty:        12 kB\nWriteback:     3 kB\nWritebackTmp: 100 kB\n")
    monkeypatch.setattr(module, "_MEMINFO", meminfo)
    assert module._waiting_bytes() == 15 * KIB


def test_this_machine_tells_how_much_waits() -> None:
    assert module._waiting_bytes() >= 0
