"""Reading and writing a block device past the kernel's cache (O_DIRECT, open(2)).

Through the cache every byte is copied into a page that the kernel has to find first, and written from there
later, by the kernel's own threads: of no use for an image, of which nothing is read again soon.

A page of the disk is written past the cache as a whole or not at all: of two threads that each write a part
of it, one through the cache and one past it, one could lose what the other has written.
"""

import errno
import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

Buffer = bytes | memoryview

_STAGE_BYTES = 2 << 20
"""Bytes of a thread's aligned memory, from which the device takes what is written."""
_LEAST_BYTES = 512 << 10
"""Bytes below which the cache is better: who writes past it waits for the device each time, and a disk with
spinning platters may take 8 ms for that."""


class DirectIo:
    """A block device, opened a second time for what goes past the cache. Any thread may use it."""

    def __init__(self, fd: int, unit: int) -> None:
        """Take over ``fd``; what is read and written begins and ends at multiples of ``unit`` bytes."""
        self._fd = fd
        self._unit = unit
        self._own = threading.local()
        self._lock = threading.Lock()
        self._under_way = 0

    def write(self, buffers: Sequence[Buffer], offset: int) -> int:
        """Write the first bytes of ``buffers`` at ``offset``, and give how many; the rest is for the cache.

        It is none where there are few, where ``offset`` does not suit, and where the device does not take
        them so. Raises OSError.
        """
        length, done = self._suitable(sum(map(len, buffers)), offset), 0
        if not length:
            return 0
        with self._call() as fd:
            for piece in _in_stages(buffers, self._stage(), length):
                if not _write_piece(fd, piece, offset + done):
                    break
                done += len(piece)
        return done

    def read(self, length: int, offset: int) -> list[bytes]:
        """Read the first of ``length`` bytes at ``offset``; the rest is for the cache.

        Besides where ``write`` leaves some, there is a rest where something goes wrong: through the cache
        the kernel says at which page.
        """
        pieces = []
        while length := self._suitable(length, offset):
            stage = self._stage()[:length]
            try:
                with self._call() as fd:
                    count = os.preadv(fd, [stage], offset)
            except OSError:
                break
            if not count:
                break
            pieces.append(bytes(stage[:count]))
            length, offset = length - count, offset + count
        return pieces

    def close(self) -> bool:
        """Close it, so that no call begins any more.

        While one is under way, which the device has not answered, it stays open, and the answer is False.
        """
        with self._lock:
            fd, self._fd = self._fd, -1
            is_idle = not self._under_way
        if is_idle:
            os.close(fd)
        return is_idle

    @contextmanager
    def _call(self) -> Iterator[int]:
        with self._lock:
            fd = self._fd
            if fd < 0:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._under_way += 1
        try:
            yield fd
        finally:
            with self._lock:
                self._under_way -= 1

    def _suitable(self, length: int, offset: int) -> int:
        suitable = length // self._unit * self._unit
        return 0 if offset % self._unit or suitable < _LEAST_BYTES else suitable

    def _stage(self) -> memoryview:
        if not hasattr(self._own, "stage"):
            self._own.stage = memoryview(mmap.mmap(-1, _STAGE_BYTES, flags=mmap.MAP_PRIVATE))
        stage: memoryview = self._own.stage
        return stage


def open_direct(fd: int, unit: int) -> DirectIo | None:
    """Open the block device that ``fd`` is of once more; None where the kernel does not do it.

    ``unit`` is how many bytes its cache writes together.
    """
    try:
        again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return None
    return DirectIo(again, unit)


def _write_piece(fd: int, piece: memoryview, offset: int) -> bool:
    """Write all of it; False where the device does not take it so."""
    while piece:
        try:
            written = os.pwrite(fd, piece, offset)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return False
            raise
        piece, offset = piece[written:], offset + written
    return True


def _in_stages(buffers: Sequence[Buffer], stage: memoryview, length: int) -> Iterator[memoryview]:
    """Copy the first ``length`` bytes to the stage; yield it whenever it is full, and when all are there."""
    filled = 0
    for buffer in buffers:
        rest = memoryview(buffer)[:length]
        length -= len(rest)
        while rest:
            count = min(len(rest), len(stage) - filled)
            stage[filled : filled + count] = rest[:count]
            rest, filled = rest[count:], filled + count
            if filled == len(stage):
                yield stage
                filled = 0
    if filled:
        yield stage[:filled]
