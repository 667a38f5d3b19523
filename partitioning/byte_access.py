"""Reading and writing bytes at offsets, whatever carries them: a disk, a file, an image in memory."""

from typing import Protocol


class NotThereYet(Exception):
    """The bytes are on their way, and will not come before others have been used."""


class ByteReader(Protocol):
    """Something of a known size that can be read at any offset."""

    @property
    def size(self) -> int:
        """Size in bytes."""
        ...

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset`` (bytes); raises when they are not all there."""
        ...


class ByteStore(ByteReader, Protocol):
    """Something that can be read and written at any offset."""

    def pwrite(self, data: bytes, offset: int) -> None:
        """Write all of ``data`` at ``offset`` (bytes)."""
        ...


class BytesReader:
    """A ByteReader over bytes that are already in memory."""

    def __init__(self, data: bytes) -> None:
        """Keep ``data``; its length is the size."""
        self._data = data

    @property
    def size(self) -> int:
        """Size in bytes."""
        return len(self._data)

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``; EOFError past the end."""
        if offset < 0 or length < 0 or offset + length > len(self._data):
            raise EOFError(f"{length} bytes at {offset} are not within {len(self._data)} bytes")
        return self._data[offset : offset + length]


class RangeReader:
    """A window of another reader: ``length`` bytes from ``start``."""

    def __init__(self, reader: ByteReader, start: int, length: int) -> None:
        """Look at ``reader`` through a window; both numbers are bytes."""
        self._reader = reader
        self._start = start
        self._length = length

    @property
    def size(self) -> int:
        """Size of the window in bytes."""
        return self._length

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset`` within the window; EOFError past its end."""
        if offset < 0 or length < 0 or offset + length > self._length:
            raise EOFError(f"{length} bytes at {offset} are not within {self._length} bytes")
        return self._reader.pread(length, self._start + offset)
