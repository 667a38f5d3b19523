"""A raw image in pieces, from its beginning to its end; runs of zeroes are told from data."""

from collections.abc import Iterator

from agent.images.pieces import MOST_BYTES, Incoming, Piece, Run, ZeroPiece

SECTOR = 512
"""Bytes that disks have at the least together."""
_BLOCK = 64 << 10
"""Bytes that are looked at together: zeroing less than that costs a disk more than writing it."""
_ZERO_BLOCK = bytes(_BLOCK)


def raw_pieces(file: Incoming) -> Iterator[Piece]:
    """Yield all of the file, each byte once; a last sector that is not whole is filled up with zeroes."""
    offset = 0
    while (end := file.come(offset + MOST_BYTES)) > offset:
        yield RawPiece(file, offset, end)
        offset = end


class RawPiece:
    """A DataPiece of a raw file."""

    def __init__(self, file: Incoming, start: int, end: int) -> None:
        """The bytes of the file from ``start`` to ``end``, which have come."""
        self._file = file
        self._start = start
        self._end = end
        self._padding = -end % SECTOR
        self.length = end + self._padding - start
        file.claim()

    def runs(self) -> Iterator[Run | ZeroPiece]:
        """Read them, and yield what is data and what is zero."""
        data = self._file.pread(self._end - self._start, self._start)
        yield from runs_in(data + bytes(self._padding) if self._padding else data, self._start)

    def done(self) -> None:
        """Give the bytes of the file back."""
        self._file.release(self._start, self._end)
        self._file.settle()


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
