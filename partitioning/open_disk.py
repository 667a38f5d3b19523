"""A disk, opened exclusively and kept open for as long as anything is done to it."""

import errno
import fcntl
import mmap
import os
import stat
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from partitioning.direct_io import DirectIo, open_direct
from partitioning.errors import DiskBusy, DiskNotFound, DiskReadError, DiskUnsuitable, DiskWriteError
from partitioning.file_lock import lock_whole_file
from partitioning.flushing import OnProgress, wait_for_medium
from partitioning.zeroing import punch_zeroes

# linux/fs.h
_BLKROGET = 0x125E
_BLKFLSBUF = 0x1261
_BLKSSZGET = 0x1268
_BLKBSZGET = 0x80081270
_BLKGETSIZE64 = 0x80081272

# What an offline path, or one that has just gone, answers.
_GONE = (errno.ENXIO, errno.ENODEV, errno.ENOENT)
_LOCK_WAIT = 10.0
# Nobody looks at a regular file for a moment: who has it locked works on it, and it will not be as it was.
_FILE_LOCK_WAIT = 1.0
_LOCK_POLL = 0.1
_ZERO_PIECE = 4 << 20
_MOST_BUFFERS = 1024
"""IOV_MAX, limits.h."""

DEFAULT_SECTOR_SIZE = 512

_DISK_FAULT_HINT = (
    "Look at the kernel's log (dmesg) and at the disk's health (smartctl), then use another disk."
)


class OpenDisk:
    """A block device or a regular file that is treated as a disk. Offsets and sizes are bytes.

    It is a ByteStore. A read error is a DiskReadError, a write error a DiskWriteError.
    """

    def __init__(self, path: Path, fd: int, *, size: int, sector_size: int, is_block_device: bool) -> None:
        """Take over an open file descriptor; use ``open_exclusively`` to get one."""
        self.path = path
        self.fd = fd
        self.direct: DirectIo | None = None
        """For what is large, where there is a way past the cache."""
        self.sector_size = sector_size
        self.is_block_device = is_block_device
        self._size = size

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._size

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``."""
        if offset < 0 or length < 0 or offset + length > self._size:
            raise self._read_error(offset, f"{length} bytes there are past the end of the disk")
        pieces = self.direct.read(length, offset) if self.direct else []
        done = sum(map(len, pieces))
        while done < length:
            piece = self._read_cached(length - done, offset + done)
            pieces.append(piece)
            done += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_cached(self, length: int, offset: int) -> bytes:
        try:
            piece = os.pread(self.fd, length, offset)
        except OSError as error:
            raise self._read_error(offset, os.strerror(error.errno or 0)) from error
        if not piece:
            raise self._read_error(offset, "it ends there")
        return piece

    def pwrite(self, data: bytes, offset: int) -> None:
        """Write all of ``data`` at ``offset``."""
        if offset < 0 or offset + len(data) > self._size:
            raise self._write_error(offset, f"{len(data)} bytes there are past the end of the disk")
        view = memoryview(data)
        while view:
            try:
                written = os.pwrite(self.fd, view, offset)
            except OSError as error:
                raise self._write_error(offset, os.strerror(error.errno or 0)) from error
            view = view[written:]
            offset += written

    def pwritev(self, buffers: Sequence[bytes | memoryview], offset: int) -> None:
        """Write the buffers one after another, from ``offset`` on, as if they were one."""
        length = sum(map(len, buffers))
        if offset < 0 or offset + length > self._size:
            raise self._write_error(offset, f"{length} bytes there are past the end of the disk")
        try:
            done = self.direct.write(buffers, offset) if self.direct else 0
        except OSError as error:
            # The kernel empties its cache first, and what goes wrong with that it tells here as well.
            why = f"{os.strerror(error.errno or 0)}; what was written before may be concerned"
            raise self._write_error(offset, why) from error
        if done < length:
            self._write_cached(_behind(done, buffers) if done else buffers, offset + done)

    def _write_cached(self, buffers: Sequence[bytes | memoryview], offset: int) -> None:
        for first in range(0, len(buffers), _MOST_BUFFERS):
            some = buffers[first : first + _MOST_BUFFERS]
            length = sum(map(len, some))
            try:
                written = os.pwritev(self.fd, some, offset)
            except OSError as error:
                raise self._write_error(offset, os.strerror(error.errno or 0)) from error
            if written < length:
                self.pwrite(b"".join(some)[written:], offset + written)
            offset += length

    def zero(self, offset: int, length: int) -> None:
        """Make ``length`` bytes at ``offset`` read as zero, the fast way where there is one."""
        if offset < 0 or length < 0 or offset + length > self._size:
            raise self._write_error(offset, f"{length} bytes there are past the end of the disk")
        # Whole pages of a device only: the rest of one may be waiting in the cache to be written, by a
        # thread that has read it before it was zeroed below.
        unit = self.cache_unit()
        start = -(-offset // unit) * unit
        end = (offset + length) // unit * unit
        if start >= end or not self._punch(start, end - start):
            self._write_zeroes(offset, length)
            return
        self._write_zeroes(offset, start - offset)
        self._write_zeroes(end, offset + length - end)

    def flush(self, on_progress: OnProgress | None = None) -> None:
        """Wait until everything written is on the medium; an error of any earlier write shows here.

        ``on_progress`` gets bytes done and bytes in all, several times a second. A disk that takes nothing
        any more is given up after half an hour, with a DiskWriteError.
        """
        try:
            wait_for_medium(self.path, lambda: os.fsync(self.fd), on_progress)
        except OSError as error:
            raise DiskWriteError(
                f"Writing to {self.path} failed.",
                detail=f"The kernel reported at flush: {os.strerror(error.errno or 0)}.",
                hint=_DISK_FAULT_HINT,
            ) from error

    def drop_cache(self) -> None:
        """Forget what is cached, so that the next read comes from the medium. Flush first.

        Raises DiskWriteError where the kernel does not do it: what is read then proves nothing.
        """
        try:
            self.drop_buffers()
            os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            raise DiskWriteError(
                f"What is cached of {self.path} could not be dropped.",
                detail=f"{os.strerror(error.errno or 0)}. What is on the medium can not be checked.",
                hint=_DISK_FAULT_HINT,
            ) from error

    def drop_buffers(self) -> None:
        """Drop the buffers of a block device, which only a privileged process may. Raises OSError."""
        if self.is_block_device:
            # It writes first what waits, so it can take as long as a flush.
            wait_for_medium(self.path, lambda: _flush_buffers(self.fd))

    def _punch(self, offset: int, length: int) -> bool:
        try:
            return punch_zeroes(self.fd, offset, length)
        except OSError as error:
            raise self._write_error(offset, os.strerror(error.errno or 0)) from error

    def _write_zeroes(self, offset: int, length: int) -> None:
        end = offset + length
        zeroes = bytes(min(_ZERO_PIECE, length))
        while offset < end:
            piece = zeroes[: end - offset]
            self.pwritev([piece], offset)
            offset += len(piece)

    def cache_unit(self) -> int:
        """Give how many bytes the kernel's cache writes together: a page, or a block if that is larger."""
        if not self.is_block_device:
            return self.sector_size
        return max(self.sector_size, mmap.PAGESIZE, _ioctl_int(self.fd, _BLKBSZGET))

    def _read_error(self, offset: int, why: str) -> DiskReadError:
        return DiskReadError(
            f"Reading from {self.path} failed.",
            detail=f"At byte {offset}: {why}.",
            hint=_DISK_FAULT_HINT,
        )

    def _write_error(self, offset: int, why: str) -> DiskWriteError:
        return DiskWriteError(
            f"Writing to {self.path} failed.",
            detail=f"At byte {offset}: {why}.",
            hint=_DISK_FAULT_HINT,
        )


@contextmanager
def open_exclusively(path: Path, *, sector_size: int | None = None) -> Iterator[OpenDisk]:
    """Open the disk at ``path`` so that nobody else can mount, assemble or lock it meanwhile.

    A block device is opened with O_EXCL (the kernel then refuses mounts, md, dm and swap) and locked with
    flock (udev then leaves it alone: systemd's "Locking Block Device Access"). A regular file is locked with
    flock and fcntl, which a running virtual machine heeds.
    ``sector_size`` is for regular files only; a block device knows its own.
    Raises DiskNotFound, DiskUnsuitable or DiskBusy.
    """
    mode = _mode(path)
    exclusive = os.O_EXCL if stat.S_ISBLK(mode) else 0
    fd = _open(path, os.O_RDWR | os.O_CLOEXEC | exclusive)
    disk: OpenDisk | None = None
    try:
        _lock(path, fd)
        disk = _describe(path, fd, sector_size)
        _refuse_read_only(disk)
        _refuse_unprivileged(disk)
        if disk.is_block_device:
            disk.direct = open_direct(fd, disk.cache_unit())
        yield disk
    finally:
        if disk is not None:
            # A thread whose call was never answered must not go on with what gets the number next.
            disk.fd = -1
        # Nor may others get the disk while it still may be written to: the end of the process gives it up.
        if disk is None or disk.direct is None or disk.direct.close():
            os.close(fd)


@contextmanager
def held_exclusively(path: Path) -> Iterator[None]:
    """Keep everybody else from the block device at ``path``, and write nothing.

    A device that has gone or does not answer is left: nobody gets at anything through it. Raises DiskBusy,
    and DiskUnsuitable where it can not be opened for another reason.
    """
    try:
        fd = _open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_EXCL)
    except DiskUnsuitable as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _GONE:
            yield
            return
        raise
    try:
        _lock(path, fd)
        yield
    finally:
        os.close(fd)


@contextmanager
def open_for_reading(path: Path, *, sector_size: int | None = None) -> Iterator[OpenDisk]:
    """Open the disk at ``path`` to look at it; nothing can be written through it."""
    _mode(path)
    fd = _open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield _describe(path, fd, sector_size)
    finally:
        os.close(fd)


def _mode(path: Path) -> int:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise DiskNotFound(
            f"There is no disk at {path}.",
            detail=f"{os.strerror(error.errno or 0)}.",
            hint="See which disks there are with: byoi-agent disks",
        ) from error
    if not (stat.S_ISBLK(mode) or stat.S_ISREG(mode)):
        raise DiskUnsuitable(
            f"{path} is not a disk.",
            detail="It is neither a block device nor a regular file.",
            hint="See which disks there are with: byoi-agent disks",
        )
    return mode


def _open(path: Path, flags: int) -> int:
    deadline = time.monotonic() + _LOCK_WAIT
    while True:
        try:
            return os.open(path, flags)
        except OSError as error:
            # mdadm and others look at a disk with O_EXCL for a moment when it appears.
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise _open_error(path, error) from error
        time.sleep(_LOCK_POLL)


def _open_error(path: Path, error: OSError) -> DiskBusy | DiskUnsuitable:
    why = os.strerror(error.errno or 0)
    if error.errno == errno.EBUSY:
        return DiskBusy(
            f"The disk {path} is in use.",
            detail=f"It could not be opened exclusively within {_LOCK_WAIT:.0f} s: {why}.",
            hint="Stop what holds it; unlisted: perhaps an imported ZFS pool, multipath or bcache.",
        )
    return DiskUnsuitable(
        f"The disk {path} can not be opened.",
        detail=f"{why}.",
        hint="Run as root; check that the disk answers (dmesg) and is not write protected.",
    )


def _lock(path: Path, fd: int) -> None:
    is_file = stat.S_ISREG(os.fstat(fd).st_mode)
    patience = min(_LOCK_WAIT, _FILE_LOCK_WAIT) if is_file else _LOCK_WAIT
    _wait_for_lock(path, "flock", patience, lambda: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB))
    if is_file:
        _wait_for_lock(path, "fcntl, as a virtual machine does", patience, lambda: lock_whole_file(fd))


def _wait_for_lock(path: Path, sort: str, patience: float, take: Callable[[], None]) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            take()
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise DiskBusy(
                    f"The disk {path} is in use.",
                    detail=f"Another process has kept it locked ({sort}) for {patience:.0f} s.",
                    hint="Wait for that process to end, or stop it. See it with: lslocks",
                ) from None
            time.sleep(_LOCK_POLL)
        else:
            return


def _describe(path: Path, fd: int, sector_size: int | None) -> OpenDisk:
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode):
        size, sector = status.st_size, sector_size or DEFAULT_SECTOR_SIZE
    else:
        size, sector = _ioctl_u64(fd, _BLKGETSIZE64), _ioctl_int(fd, _BLKSSZGET)
        _check_sector_size(path, sector, sector_size)
    if size == 0 or size % sector:
        raise DiskUnsuitable(
            f"{path} can not serve as a disk.",
            detail=f"Its size, {size} bytes, is not a positive multiple of its sector size, {sector} bytes.",
            hint="Choose another disk, or give the file the size of a disk: truncate -s 10G FILE",
        )
    return OpenDisk(path, fd, size=size, sector_size=sector, is_block_device=stat.S_ISBLK(status.st_mode))


def _check_sector_size(path: Path, sector: int, wanted: int | None) -> None:
    if wanted not in (None, sector):
        raise DiskUnsuitable(
            f"The disk {path} has sectors of {sector} bytes, not {wanted}.",
            detail="A sector size can be chosen for regular files only.",
            hint="Leave the sector size out.",
        )


def _refuse_read_only(disk: OpenDisk) -> None:
    if disk.is_block_device and _ioctl_int(disk.fd, _BLKROGET):
        raise DiskUnsuitable(
            f"The disk {disk.path} is read-only.",
            detail="The kernel marks the device read-only.",
            hint="Remove the write protection (blockdev --setrw, or a switch), or choose another disk.",
        )


def _refuse_unprivileged(disk: OpenDisk) -> None:
    """Find out before anything is written whether it could be read back past the cache afterwards."""
    try:
        disk.drop_buffers()
    except PermissionError as error:
        raise DiskUnsuitable(
            f"The disk {disk.path} can not be checked after writing.",
            detail="The kernel does not let this process drop what it has cached (CAP_SYS_ADMIN is missing), "
            "so nothing it reads back would prove what is on the medium. Nothing was written.",
            hint="Run as root; in a container, with the capability SYS_ADMIN.",
        ) from error
    except OSError as error:
        raise _open_error(disk.path, error) from error


def _behind(length: int, buffers: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """Give what there is behind the first ``length`` bytes."""
    rest: list[bytes | memoryview] = []
    for buffer in buffers:
        if length < len(buffer):
            rest.append(memoryview(buffer)[length:])
        length = max(0, length - len(buffer))
    return rest


def _flush_buffers(fd: int) -> None:
    fcntl.ioctl(fd, _BLKFLSBUF)


def _ioctl_int(fd: int, request: int) -> int:
    value: int = struct.unpack("i", fcntl.ioctl(fd, request, bytes(4)))[0]
    return value


def _ioctl_u64(fd: int, request: int) -> int:
    value: int = struct.unpack("Q", fcntl.ioctl(fd, request, bytes(8)))[0]
    return value
