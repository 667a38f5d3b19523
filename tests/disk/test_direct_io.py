"""What is large goes past the kernel's cache, and arrives as what goes through it does."""

import contextlib
import errno
import itertools
import mmap
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from partitioning import open_disk as module
from partitioning.direct_io import DirectIo
from partitioning.errors import DiskBusy, DiskReadError, DiskWriteError
from partitioning.open_disk import OpenDisk, open_exclusively
from tests.disk.conftest import MakeLoop
from tests.small_images import MIB, random_file

SIZE = 24 * MIB
LEAST = 512 << 10
PAGE = mmap.PAGESIZE


@pytest.fixture(params=[512, 4096])
def disk(request: pytest.FixtureRequest, tmp_path: Path, make_loop: MakeLoop) -> Iterator[OpenDisk]:
    """A loop device full of random bytes."""
    device = make_loop(random_file(tmp_path / "disk", SIZE), sector_size=request.param)
    with open_exclusively(device) as opened:
        yield opened


def is_cached(disk: OpenDisk, offset: int) -> bool:
    """Tell whether the kernel could answer from its cache, without asking the device."""
    # Otherwise the question alone would bring what follows into the cache.
    os.posix_fadvise(disk.fd, 0, 0, os.POSIX_FADV_RANDOM)
    try:
        os.preadv(disk.fd, [bytearray(disk.sector_size)], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    return True


def on_medium(disk: OpenDisk) -> bytes:
    disk.flush()
    disk.drop_cache()
    return os.pread(disk.fd, disk.size, 0)


def in_buffers(data: bytes, chance: random.Random) -> list[bytes | memoryview]:
    buffers: list[bytes | memoryview] = []
    while data:
        length = chance.choice([1, 511, PAGE, 64 << 10, 3 * MIB])
        buffers.append(data[:length] if chance.random() < 0.5 else memoryview(data)[:length])
        data = data[length:]
    return buffers


def runs(sector: int, chance: random.Random) -> list[tuple[int, int]]:
    """The whole disk in runs (start, end) of sectors: many that are neither whole pages nor large."""
    found, start = [], 0
    while start < SIZE:
        length = chance.choice([1, 7, 8, 128, 129, 256, 1000, 2048, 8191]) * sector
        end = min(SIZE, start + length)
        found.append((start, end))
        start = end
    chance.shuffle(found)
    return found


def test_runs_of_any_size_from_several_threads_arrive(disk: OpenDisk) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    content = chance.randbytes(SIZE)
    work = [(start, in_buffers(content[start:end], chance)) for start, end in runs(disk.sector_size, chance)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda item: disk.pwritev(item[1], item[0]), work))
    assert on_medium(disk) == content


def test_runs_of_any_size_are_read(disk: OpenDisk) -> None:
    content = on_medium(disk)
    disk.drop_cache()
    chance = random.Random(1)
    for start, end in runs(disk.sector_size, chance):
        assert disk.pread(end - start, start) == content[start:end]


def test_what_is_large_does_not_go_through_the_cache(disk: OpenDisk) -> None:
    disk.drop_cache()
    start, end = 4 * MIB, 9 * MIB
    disk.pwritev([bytes(MIB), bytes(end - start - MIB)], start)
    disk.pread(5 * MIB, 10 * MIB)
    assert not any(is_cached(disk, offset) for offset in range(start, 15 * MIB, PAGE))
    disk.pwritev([bytes(LEAST)], 20 * MIB)
    assert not is_cached(disk, 20 * MIB)


def test_what_is_small_goes_through_the_cache(disk: OpenDisk) -> None:
    disk.drop_cache()
    disk.pwritev([bytes(LEAST - PAGE)], 0)
    assert is_cached(disk, 0)


def test_a_part_of_a_page_goes_through_the_cache(tmp_path: Path, make_loop: MakeLoop) -> None:
    with open_exclusively(make_loop(random_file(tmp_path / "disk", SIZE))) as disk:
        disk.drop_cache()
        disk.pwritev([bytes(MIB), bytes(512)], 12 * MIB)
        disk.pwritev([bytes(MIB)], 16 * MIB + 512)
        assert [is_cached(disk, offset * MIB + 512) for offset in (12, 13, 16)] == [False, True, True]


def test_zeroes_that_have_to_be_written_go_past_the_cache(
    disk: OpenDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "punch_zeroes", lambda *_: False)
    disk.drop_cache()
    disk.zero(MIB, 9 * MIB)
    assert not is_cached(disk, 2 * MIB)
    assert not any(on_medium(disk)[MIB : 10 * MIB])


def test_the_end_of_a_disk_that_is_no_whole_page(tmp_path: Path, make_loop: MakeLoop) -> None:
    size = MIB + 512
    with open_exclusively(make_loop(random_file(tmp_path / "disk", size))) as disk:
        content = os.urandom(size)
        disk.pwritev([content], 0)
        assert disk.pread(size, 0) == content
        assert on_medium(disk) == content


@pytest.mark.parametrize("sizes", [[3 * PAGE, 7 * PAGE], [3 * PAGE, 7 * PAGE, 1000]], ids=["pages", "any"])
def test_calls_that_do_only_a_part(disk: OpenDisk, monkeypatch: pytest.MonkeyPatch, sizes: list[int]) -> None:
    """Whole pages, or what leaves a rest that the device does not take past the cache."""
    write, read, parts = os.pwrite, os.preadv, itertools.cycle(sizes)

    def write_some(fd: int, data: memoryview, offset: int) -> int:
        return write(fd, data[: next(parts)], offset) if len(data) % PAGE == 0 else write(fd, data, offset)

    def read_some(fd: int, buffers: list[memoryview], offset: int) -> int:
        return read(fd, [buffers[0][: next(parts) // PAGE * PAGE or PAGE]], offset)

    content = os.urandom(5 * MIB)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", write_some)
        disk.pwritev([content[:MIB], content[MIB:]], 4 * MIB)
    assert on_medium(disk)[4 * MIB : 9 * MIB] == content
    with monkeypatch.context() as patch:
        patch.setattr(os, "preadv", read_some)
        assert disk.pread(5 * MIB, 4 * MIB) == content


def test_what_waits_in_the_cache_is_neither_lost_nor_stale(disk: OpenDisk) -> None:
    disk.pwrite(b"a" * 2 * MIB, 0)
    assert disk.pread(MIB, 0) == b"a" * MIB
    disk.pwritev([b"b" * MIB], 0)
    assert disk.pread(PAGE, 0) == b"b" * PAGE
    assert on_medium(disk)[: 3 * MIB // 2] == b"b" * MIB + b"a" * (MIB // 2)


def test_where_the_device_does_not_take_it_the_cache_does(tmp_path: Path, make_loop: MakeLoop) -> None:
    device = make_loop(random_file(tmp_path / "disk", SIZE), sector_size=4096)
    content = os.urandom(MIB)
    with open_exclusively(device) as disk:
        assert disk.direct is not None
        assert disk.direct.close()
        again = os.open(device, os.O_RDWR | os.O_DIRECT)
        # It believes that pieces of a page will do, and the kernel says no.
        disk.direct = DirectIo(again, unit=512)
        with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
            os.preadv(again, [memoryview(bytearray(MIB))[:512]], 512)
        disk.pwritev([content], 512)
        assert disk.pread(MIB, 512) == content
        assert on_medium(disk)[512 : MIB + 512] == content


def test_an_error_of_the_device_says_where(disk: OpenDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that really fails is in the tests in virtual servers."""

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for name in ("pwrite", "preadv", "pread"):
        monkeypatch.setattr(os, name, fail)
    with pytest.raises(DiskWriteError) as written:
        disk.pwritev([bytes(MIB)], 8 * MIB)
    with pytest.raises(DiskReadError) as read:
        disk.pread(MIB, 8 * MIB)
    why = os.strerror(errno.EIO)
    assert written.value.detail == f"At byte {8 * MIB}: {why}; what was written before may be concerned."
    assert read.value.detail == f"At byte {8 * MIB}: {why}."


def test_what_can_not_be_read_past_the_cache_is_read_through_it(
    disk: OpenDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel then says at which page there is an error, and not only in which stretch."""
    content = on_medium(disk)
    read, calls = os.preadv, itertools.count()

    def fail_later(fd: int, buffers: list[memoryview], offset: int) -> int:
        if next(calls):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", fail_later)
    assert disk.pread(5 * MIB, MIB) == content[MIB : 6 * MIB]
    assert next(calls) == 2


def descriptors(device: Path) -> list[str]:
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if link.readlink() == device:
                found.append(link.name)
    return found


def test_nothing_stays_open(disk: OpenDisk, tmp_path: Path, make_loop: MakeLoop) -> None:
    device = make_loop(random_file(tmp_path / "other", SIZE))
    with open_exclusively(device) as other:
        assert len(descriptors(device)) == 2
    assert descriptors(device) == []
    assert other.direct is not None
    # What is opened next gets the number.
    with (tmp_path / "next").open("w+b"), (tmp_path / "next").open("w+b"):
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            other.direct.write([bytes(MIB)], 0)
        assert not other.direct.read(MIB, 0)
    assert (tmp_path / "next").stat().st_size == 0


def test_the_disk_stays_held_as_long_as_it_may_still_be_written_to(
    tmp_path: Path, make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that does not answer: the agent gives up, and nobody else gets the disk before it has."""
    device = make_loop(random_file(tmp_path / "disk", SIZE))
    write, asked, answer = os.pwrite, threading.Event(), threading.Event()

    def slow(fd: int, data: memoryview, offset: int) -> int:
        asked.set()
        answer.wait(60)
        return write(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", slow)
    monkeypatch.setattr(module, "_LOCK_WAIT", 0.1)
    with open_exclusively(device) as disk:
        thread = threading.Thread(target=disk.pwritev, args=([bytes(MIB)], 0))
        thread.start()
        assert asked.wait(60)
    held = descriptors(device)
    try:
        assert len(held) == 2
        with pytest.raises(DiskBusy), open_exclusively(device):
            pass
    finally:
        answer.set()
        thread.join(60)
        for number in held:
            os.close(int(number))


def test_a_regular_file_goes_through_the_cache(tmp_path: Path) -> None:
    path = random_file(tmp_path / "disk", SIZE)
    with open_exclusively(path) as disk:
        assert disk.direct is None
        disk.pwritev([b"x" * MIB], 0)
    assert path.read_bytes()[: MIB + 1].strip(b"x") == path.read_bytes()[MIB : MIB + 1]
