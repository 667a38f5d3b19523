"""The disk that is written to: a loop device, full of old data, that counts what is written to it."""

import mmap
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from testbed.command import run

from benchmarks.disk_speed import DiskSpeed, disk_held_to


class DiskKind(StrEnum):
    """What the loop device does with what is written to it."""

    CACHED = "cached"
    """Into the kernel's cache of the file, as losetup has it by default; a flush then has much to do."""
    DIRECT = "direct"
    """To the file at once (direct I/O); a flush has next to nothing to do."""
    SSD = "ssd"
    """As direct, and no faster than a small SSD at SATA while something is measured."""


SSD_SPEED = DiskSpeed(reads=550_000_000, writes=320_000_000)
"""What the makers state for SATA SSDs of 240 GB, which servers often start from."""
_STEP = 8 << 20
_ENDS = 4 << 20
_SECTOR = 512


class TargetDisk:
    """A loop device over a file, while the block lasts.

    A hole that is punched into the device is one of the file: so it costs what it costs on an SSD.
    """

    def __init__(self, file: Path, size: int, kind: DiskKind) -> None:
        """``file`` is made, of ``size`` bytes, a multiple of 4 KiB."""
        self._kind = kind
        self._file = file
        self._size = size
        self._device = Path()

    def __enter__(self) -> Self:
        """Attach it. Its contents come with ``fill``."""
        with self._file.open("wb") as file:
            file.truncate(self._size)
        shown = run("losetup", "--find", "--show", self._file)
        self._device = Path(shown.decode().strip())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Detach it and remove the file."""
        self._forget_partitions()
        run("losetup", "--detach", self._device)
        self._file.unlink()

    @property
    def path(self) -> Path:
        """The block device."""
        return self._device

    def fill(self) -> None:
        """Make every sector hold data that is not zero, and the ends, where tables lie, random bytes."""
        self._forget_partitions()
        # By direct I/O whatever the kind: it is faster, and leaves nothing in the cache.
        self._be(DiskKind.DIRECT)
        self._write_old_data()
        self._be(self._kind)
        self.drop_cache()

    def _forget_partitions(self) -> None:
        """Those that the last run made known to the kernel; there may be none, which is no error."""
        if any(Path("/sys/block", self._device.name).glob(f"{self._device.name}p*")):
            run("partx", "--delete", self._device)

    def _be(self, kind: DiskKind) -> None:
        run("losetup", f"--direct-io={'off' if kind is DiskKind.CACHED else 'on'}", self._device)

    def _write_old_data(self) -> None:
        block = mmap.mmap(-1, _STEP)  # direct I/O wants its memory aligned, which that of mmap is
        block.write(os.urandom(_STEP))
        disk = os.open(self._device, os.O_WRONLY | os.O_DIRECT)
        try:
            for start, length in [(0, _ENDS), (self._size - _ENDS, _ENDS), *self._holes()]:
                _write(disk, block, start, length)
            os.fsync(disk)
        finally:
            os.close(disk)

    def at_its_speed(self) -> AbstractContextManager[None]:
        """While the block lasts it is as fast as its kind is; filling it need not wait for that."""
        return disk_held_to(SSD_SPEED, self._file) if self._kind is DiskKind.SSD else nullcontext()

    def flush(self) -> None:
        """Return when all that was written is on the medium."""
        disk = os.open(self._device, os.O_RDONLY)
        try:
            os.fsync(disk)
        finally:
            os.close(disk)

    def drop_cache(self) -> None:
        """Forget what the kernel has of it in memory."""
        run("blockdev", "--flushbufs", self._device)
        file = os.open(self._file, os.O_RDONLY)
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)

    def written(self) -> int:
        """Bytes: the difference of two answers is what was written in between (the kernel's block/stat.rst).

        The kernel counts commands to make a range zero as writes of as many sectors. What was made zero, and
        not written again, is a hole in the file afterwards.
        """
        fields = Path("/sys/block", self._device.name, "stat").read_text().split()
        return int(fields[6]) * _SECTOR - sum(length for _, length in self._holes())

    def _holes(self) -> list[tuple[int, int]]:
        file = os.open(self._file, os.O_RDONLY)
        try:
            return list(_holes_of(file, self._size))
        finally:
            os.close(file)


def _holes_of(file: int, size: int) -> Iterator[tuple[int, int]]:
    """Start and length of each range that takes no room; the end of the file counts as the start of one."""
    start = 0
    while (hole := os.lseek(file, start, os.SEEK_HOLE)) < size:
        try:
            start = os.lseek(file, hole, os.SEEK_DATA)
        except OSError:
            start = size
        yield hole, start - hole
        if start == size:
            return


def _write(disk: int, block: mmap.mmap, start: int, length: int) -> None:
    with memoryview(block) as whole:
        while length:
            with whole[: min(length, _STEP)] as part:
                written = os.pwrite(disk, part, start)
            start += written
            length -= written
