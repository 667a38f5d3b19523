"""What is large goes past the kernel's cache, and arrives as what goes through it does."""

import errno
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from partitioning.direct_io import DirectIo
from partitioning.errors import DiskReadError, DiskWriteError
from partitioning.open_disk import OpenDisk, open_exclusively
from tests.disk.conftest import MakeLoop
from tests.small_images import MIB, random_file

SIZE = 24 * MIB
PAGE = 4096


@pytest.fixture(params=[512, 4096])
def disk(request: pytest.FixtureRequest, tmp_path: Path, make_loop: MakeLoop) -> Iterator[OpenDisk]:
    """A loop device full of random bytes."""
    device = make_loop(random_file(tmp_path / "disk", SIZE), sector_size=request.param)
    with open_exclusively(device) as opened:
        yield opened


def is_cached(disk: OpenDisk, offset: int) -> bool:
    """Tell whether the kernel could answer from its cache, without asking the device."""
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
    disk.pwritev([bytes(MIB), bytes(MIB)], 4 * MIB)
    disk.pread(MIB, 8 * MIB)
    assert not is_cached(disk, 4 * MIB)
    assert not is_cached(disk, 8 * MIB)
    # What is small does, as does the rest that is less than a page.
    disk.pwritev([bytes(MIB), bytes(512)] if disk.sector_size == 512 else [bytes(PAGE)], 12 * MIB)
    assert is_cached(disk, 12 * MIB + (MIB if disk.sector_size == 512 else 0))
    disk.pwritev([bytes(PAGE)], 16 * MIB)
    assert is_cached(disk, 16 * MIB)


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
        disk.direct.close()
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

    monkeypatch.setattr(os, "pwrite", fail)
    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(DiskWriteError) as written:
        disk.pwritev([bytes(MIB)], 8 * MIB)
    with pytest.raises(DiskReadError) as read:
        disk.pread(MIB, 8 * MIB)
    for error in (written.value, read.value):
        assert error.detail == f"At byte {8 * MIB}: {os.strerror(errno.EIO)}."


def test_a_regular_file_goes_through_the_cache(tmp_path: Path) -> None:
    path = random_file(tmp_path / "disk", SIZE)
    with open_exclusively(path) as disk:
        assert disk.direct is None
        disk.pwritev([b"x" * MIB], 0)
    assert path.read_bytes()[: MIB + 1].strip(b"x") == path.read_bytes()[MIB : MIB + 1]
