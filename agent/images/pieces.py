"""What a reader gives to the writer: an image in pieces, in whatever order suits its file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from partitioning.byte_access import ByteReader

Buffer = bytes | memoryview

MOST_BYTES = 2 << 20
"""Bytes of the image that a piece of data holds, about: enough for a disk, and few enough to have several."""


class Incoming(ByteReader, Protocol):
    """The file of an image, which may still be on its way; what was read is given back."""

    def come(self, end: int) -> int:
        """Wait until the bytes up to ``end`` have come; give ``end``, or where the file ends before it."""
        ...

    def read_around(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``; what was given back of them reads as anything."""
        ...

    def require(self, start: int, end: int) -> None:
        """Make sure that nothing from ``start`` to ``end`` was given back; raises."""
        ...

    def claim(self) -> None:
        """Take note that a piece is under way, after which bytes will be given back."""
        ...

    def settle(self) -> None:
        """Take note that the bytes of a piece were given back."""
        ...

    def release(self, start: int, end: int) -> None:
        """Give the memory of the bytes from ``start`` to ``end`` back: nobody reads them again."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes of the image that stand together: from ``offset`` on, in one or several buffers."""

    offset: int
    buffers: Sequence[Buffer]

    @property
    def length(self) -> int:
        """How many bytes they are."""
        return sum(map(len, self.buffers))


@dataclass(frozen=True, slots=True)
class ZeroPiece:
    """``length`` bytes of the image from ``offset`` on that read as zero."""

    offset: int
    length: int


class DataPiece(Protocol):
    """Bytes of the image that have to be read, and perhaps unpacked."""

    @property
    def length(self) -> int:
        """How many bytes of the image they are."""
        ...

    def runs(self) -> "Iterator[Run | ZeroPiece]":
        """Read and unpack them, in any one thread. Raises BadFormat, and what reading the file raises."""
        ...

    def done(self) -> None:
        """Give back what it was read from: it has been written. From any thread."""
        ...


Piece = ZeroPiece | DataPiece
