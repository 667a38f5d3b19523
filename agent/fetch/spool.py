"""The image's bytes in memory, in a file without a name (memfd_create(2)).

A memfd rather than a bytes object: another process (qemu-img) can open it, its pages can be given back
piece by piece, and nothing is copied when it grows. Its memory is freed when the last descriptor closes,
also when the agent is killed.
"""

import errno
import mmap
import os
import threading
from types import TracebackType
from typing import Self

from agent.fetch.errors import ReadAgain, TooBigForMemory
from agent.ranges import Ranges
from partitioning.zeroing import punch_zeroes

_NO_MEMORY = (errno.ENOSPC, errno.ENOMEM, errno.EFBIG, errno.EDQUOT)


class Spool:
    """Bytes that are appended as they arrive and can be read at any offset. It is a ByteReader.

    All bytes up to ``size`` are there, but for those that were given back; what is beyond has not come yet.
    One thread appends and truncates; any may read, and give back what nobody reads any more.
    """

    def __init__(self, name: str = "byoi-image") -> None:
        """Make an empty spool; ``name`` is what /proc shows for it."""
        self._fd = os.memfd_create(name, os.MFD_CLOEXEC)
        self._size = 0
        self._lock = threading.Lock()
        self._released = Ranges()

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self._size

    @property
    def arrived(self) -> int:
        """How many bytes have come so far."""
        return self._size

    @property
    def most_held(self) -> int:
        """How many bytes of memory it takes at the most from now on."""
        return self._size

    @property
    def can_start_again(self) -> bool:
        """Tell whether it can be emptied, and filled from the beginning."""
        return True

    def announce(self, total: int) -> None:
        """Take note of how long the file is going to be."""

    def finish(self) -> None:
        """Take note that all bytes have come."""

    def fail(self, error: BaseException) -> None:
        """Take note that nothing more will come."""

    def come(self, end: int) -> int:
        """Wait until the bytes up to ``end`` have come; give ``end``, or where the file ends before it."""
        return min(end, self._size)

    def claim(self) -> None:
        """Take note that a piece is under way, after which bytes will be given back."""

    def settle(self) -> None:
        """Take note that the bytes of a piece were given back."""

    @property
    def fd(self) -> int:
        """The descriptor, to be handed to another process (``pass_fds``)."""
        return self._fd

    def append(self, data: bytes | memoryview) -> float:
        """Add ``data`` at the end, and give for how many seconds there was no room for it.

        Raises TooBigForMemory when the kernel has no memory for it.
        """
        view = memoryview(data)
        while view:
            try:
                written = os.pwrite(self._fd, view, self._size)
            except OSError as error:
                if error.errno in _NO_MEMORY:
                    raise TooBigForMemory(needed=len(view), available=0) from error
                raise
            self._size += written
            view = view[written:]
        return 0.0

    def _lengthen(self, length: int) -> None:
        """Add ``length`` bytes that read as zero."""
        os.ftruncate(self._fd, self._size + length)
        self._size += length

    def truncate(self, size: int = 0) -> None:
        """Keep the first ``size`` bytes and give back the memory of all others."""
        if not 0 <= size <= self._size:
            raise ValueError(f"{size} is not within the {self._size} bytes that are there")
        os.ftruncate(self._fd, size)
        self._size = size
        with self._lock:
            self._released.clear()

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``; EOFError when they are not all there.

        Raises ReadAgain when one of them was given back.
        """
        data = self.read_around(length, offset)
        self.require(offset, offset + length)
        return data

    def read_around(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``, whatever was given back of them: ``require`` tells.

        EOFError when they have not all come.
        """
        if offset < 0 or length < 0 or self.come(offset + length) < offset + length:
            raise EOFError(f"{length} bytes at {offset} are not within {self._size} bytes")
        return self._read(length, offset)

    def require(self, start: int, end: int) -> None:
        """Make sure that nothing from ``start`` to ``end`` was given back. Raises ReadAgain."""
        with self._lock:
            if self._released.overlap(start, end):
                raise ReadAgain(start)

    def _read(self, length: int, offset: int) -> bytes:
        pieces = []
        while length:  # one call gives at most 2 GiB, read(2)
            piece = os.pread(self._fd, length, offset)
            if not piece:
                raise EOFError(f"the spool ends at {offset}: somebody else has truncated it")
            pieces.append(piece)
            length -= len(piece)
            offset += len(piece)
        return b"".join(pieces)

    def release(self, start: int, end: int) -> None:
        """Give the memory of the bytes from ``start`` to ``end`` back: nobody reads them again."""
        end = min(end, self._size)
        if start >= end:
            return
        with self._lock:
            whole_start, whole_end = self._released.add(start, end)
        # Memory comes in pages; one that this range has a part of may be complete with its neighbours'.
        first = max(_up(whole_start), _down(start))
        last = min(_down(whole_end), _up(end))
        if first < last:
            punch_zeroes(self._fd, first, last - first)

    def close(self) -> None:
        """Give all memory back. A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._size = 0

    def __enter__(self) -> Self:
        """Return the spool itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the spool."""
        self.close()


def _down(offset: int) -> int:
    return offset // mmap.PAGESIZE * mmap.PAGESIZE


def _up(offset: int) -> int:
    return -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE
