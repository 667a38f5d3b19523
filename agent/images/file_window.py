"""A part of a file as if it were a file by itself: the disk within an archive."""

from agent.images.pieces import Incoming


class FileWindow:
    """An Incoming over ``length`` bytes of another, from ``start`` on."""

    def __init__(self, file: Incoming, start: int, length: int) -> None:
        """Look at ``file`` through a window; both numbers are bytes."""
        self._file = file
        self._start = start
        self.size = length

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``; EOFError past the window's end."""
        self._require_within(length, offset)
        return self._file.pread(length, self._start + offset)

    def come(self, end: int) -> int:
        """Wait until the bytes up to ``end`` have come; give ``end``, or where the window ends before it."""
        return self._file.come(self._start + min(end, self.size)) - self._start

    def claim(self) -> None:
        """Take note that a piece is under way."""
        self._file.claim()

    def settle(self) -> None:
        """Take note that the bytes of a piece were given back."""
        self._file.settle()

    def read_around(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``; what was given back of them reads as anything."""
        self._require_within(length, offset)
        return self._file.read_around(length, self._start + offset)

    def require(self, start: int, end: int) -> None:
        """Make sure that nothing from ``start`` to ``end`` was given back; raises."""
        self._file.require(self._start + start, self._start + end)

    def release(self, start: int, end: int) -> None:
        """Give the memory of the bytes from ``start`` to ``end`` back."""
        self._file.release(self._start + start, self._start + min(end, self.size))

    def _require_within(self, length: int, offset: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise EOFError(f"{length} bytes at {offset} are not within {self.size} bytes")
