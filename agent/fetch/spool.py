"""The image's bytes in memory, in a file without a name (memfd_create(2)).

A memfd rather than a bytes object: another process (qemu-img) can open it, its pages can be given back
piece by piece, and nothing is copied when it grows. Its memory is freed when the last descriptor closes,
also when the agent is killed.
"""

import errno
import os
from types import TracebackType
from typing import Self

from agent.fetch.errors import TooBigForMemory

_NO_MEMORY = (errno.ENOSPC, errno.ENOMEM, errno.EFBIG, errno.EDQUOT)


class Spool:
    """Bytes that are appended as they arrive and can be read at any offset. It is a ByteReader.

    All bytes up to ``size`` are there; what is beyond has not come yet. A reader that waits for more, and
    one that gives memory back, belong in ``pread`` and beside ``truncate``.
    """

    def __init__(self, name: str = "byoi-image") -> None:
        """Make an empty spool; ``name`` is what /proc shows for it."""
        self._fd = os.memfd_create(name, os.MFD_CLOEXEC)
        self._size = 0

    @property
    def size(self) -> int:
        """How many bytes are there."""
        return self._size

    @property
    def fd(self) -> int:
        """The descriptor, to be handed to another process (``pass_fds``)."""
        return self._fd

    def append(self, data: bytes) -> None:
        """Add ``data`` at the end. TooBigForMemory when the kernel has no memory for it."""
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

    def truncate(self, size: int = 0) -> None:
        """Keep the first ``size`` bytes and give back the memory of all others."""
        if not 0 <= size <= self._size:
            raise ValueError(f"{size} is not within the {self._size} bytes that are there")
        os.ftruncate(self._fd, size)
        self._size = size

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``; EOFError when they are not all there."""
        if offset < 0 or length < 0 or offset + length > self._size:
            raise EOFError(f"{length} bytes at {offset} are not within {self._size} bytes")
        pieces = []
        while length:  # one call gives at most 2 GiB, read(2)
            piece = os.pread(self._fd, length, offset)
            if not piece:
                raise EOFError(f"the spool ends at {offset}: somebody else has truncated it")
            pieces.append(piece)
            length -= len(piece)
            offset += len(piece)
        return b"".join(pieces)

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
