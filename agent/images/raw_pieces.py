"""A raw image in pieces, from its beginning to its end; runs of zeroes are told from data."""

from collections.abc import Iterator

from agent.images.pieces import MOST_BYTES, Incoming, Piece, Run, ZeroPiece

_BLOCK = 64 << 10
"""Bytes that are looked at together: zeroing less than that costs a disk more than writing it."""
_ZERO_BLOCK = bytes(_BLOCK)


def raw_pieces(file: Incoming) -> Iterator[Piece]:
    """Yield all of the file, each byte once."""
    for offset in range(0, file.size, MOST_BYTES):
        yield RawPiece(file, offset, min(MOST_BYTES, file.size - offset))


class RawPiece:
    """A DataPiece of a raw file."""

    def __init__(self, file: Incoming, offset: int, length: int) -> None:
        """``length`` bytes from ``offset`` on."""
        self._file = file
        self._offset = offset
        self.length = length

    def runs(self) -> Iterator[Run | ZeroPiece]:
        """Read them, and yield what is data and what is zero."""
        yield from runs_in(self._file.pread(self.length, self._offset), self._offset)

    def done(self) -> None:
        """Give the bytes of the file back."""
        self._file.release(self._offset, self._offset + self.length)


def runs_in(data: bytes, offset: int) -> Iterator[Run | ZeroPiece]:
    """Tell what is zero in ``data``, which the image has from ``offset`` on, block by block."""
    view, begin, was_zero = memoryview(data), 0, False
    for at in range(0, len(data), _BLOCK):
        is_zero = data.startswith(_ZERO_BLOCK[: len(data) - at], at)
        if is_zero != was_zero:
            yield from _run(view[begin:at], offset + begin, was_zero)
            begin, was_zero = at, is_zero
    yield from _run(view[begin:], offset + begin, was_zero)


def _run(data: memoryview, offset: int, is_zero: bool) -> Iterator[Run | ZeroPiece]:  # noqa: FBT001
    if data:
        yield ZeroPiece(offset, len(data)) if is_zero else Run(offset, (data,))
