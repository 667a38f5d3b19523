"""The disk that the benchmarks write to is as slow as they say, and only while something is measured."""

import mmap
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.command import run
from testbed.errors import TestbedError

from benchmarks.disk_speed import DiskSpeed, disk_held_to
from tests.disk.conftest import MakeLoop
from tests.small_images import MIB, random_file

MB = 1_000_000
SLOW = DiskSpeed(reads=20 * MB, writes=10 * MB)


def test_a_disk_that_is_held_to_a_speed_is_that_slow(mounted: Path) -> None:
    try:
        held = disk_held_to(SLOW, mounted)
    except TestbedError as reason:
        pytest.skip(str(reason))
    file = mounted / "file"
    before = time_to_write(file, 10 * MB)
    with held:
        slowed = time_to_write(file, 10 * MB)
    after = time_to_write(file, 10 * MB)
    assert slowed > 0.8
    assert max(before, after) < slowed


@pytest.fixture
def mounted(tmp_path: Path, make_loop: MakeLoop) -> Iterator[Path]:
    """A file system on a disk of its own: to slow down that of the machine would disturb other tests."""
    device = make_loop(random_file(tmp_path / "disk", 64 * MIB))
    folder = tmp_path / "mounted"
    folder.mkdir()
    run("mkfs.ext4", "-q", device)
    run("mount", device, folder)
    try:
        yield folder
    finally:
        run("umount", folder)


def time_to_write(file: Path, size: int) -> float:
    size -= size % mmap.PAGESIZE
    with mmap.mmap(-1, size) as data, file.open("wb") as opened:
        data.write(os.urandom(size))
        past_the_cache = os.open(opened.name, os.O_WRONLY | os.O_DIRECT)
        started = time.monotonic()
        try:
            assert os.pwrite(past_the_cache, data, 0) == size
        finally:
            os.close(past_the_cache)
        return time.monotonic() - started
