"""Reading a qcow2 image at any offset, a piece at a time, through qemu-img."""

import os
import time
from collections import OrderedDict

from agent.images import qemu_img
from agent.images.errors import BadFormat

_PIECE = 4 << 20
"""Bytes read by one call of qemu-img: a table, or a whole small ESP's metadata, at once."""
_KEPT = 8
_MOST_PIECES = 1000
_MOST_SECONDS = 120.0
"""Bounds on all that is read: a hostile image's tables and directories can be scattered over petabytes."""


class QemuImgReader:
    """A ByteReader over what an image reads as. It keeps the last few pieces, so memory is bounded.

    The first piece is kept for good: what is needed after the wipe stands in it, and can not fail then.
    """

    def __init__(self, *, format_name: str, fd: int, size: int) -> None:
        """Read the image that is open on ``fd`` and has a virtual size of ``size`` bytes."""
        self._format = format_name
        self._fd = fd
        self._size = size
        self._pieces: OrderedDict[int, bytes] = OrderedDict()
        self._read_pieces = 0
        self._seconds = 0.0

    @property
    def size(self) -> int:
        """Virtual size in bytes."""
        return self._size

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``; EOFError past the end, BadFormat after too many."""
        if offset < 0 or length < 0 or offset + length > self._size:
            raise EOFError(f"{length} bytes at {offset} are not within {self._size} bytes")
        found = []
        while length > 0:
            within = offset % _PIECE
            part = self._piece(offset - within)[within : within + length]
            found.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(found)

    def _piece(self, start: int) -> bytes:
        if start not in self._pieces:
            self._pieces[start] = self._bounded_read(start, min(_PIECE, self._size - start))
            if len(self._pieces) > _KEPT:
                del self._pieces[next(old for old in self._pieces if old)]
        self._pieces.move_to_end(start)
        return self._pieces[start]

    def _bounded_read(self, start: int, length: int) -> bytes:
        if self._read_pieces >= _MOST_PIECES or self._seconds >= _MOST_SECONDS:
            raise BadFormat(
                "The image's tables are scattered so that they can not be read with reasonable effort: "
                f"{self._read_pieces} places were read in {self._seconds:.0f} s."
            )
        begun = time.monotonic()
        data = self._read(start, length)
        self._read_pieces += 1
        self._seconds += time.monotonic() - begun
        return data

    def _read(self, start: int, length: int) -> bytes:
        into = os.memfd_create("byoi-piece")
        try:
            os.ftruncate(into, length)
            source = qemu_img.Source(format=self._format, fd=self._fd, offset=start, length=length)
            qemu_img.read_range(source, into)
            return os.pread(into, length, 0)
        finally:
            os.close(into)
