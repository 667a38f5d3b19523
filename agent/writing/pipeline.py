"""Writing an image's pieces: several at a time, and no more of them in memory than that.

Reading, unpacking, digests and writing let other threads run, so a few threads keep disk and processors busy.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from agent.effort import Effort, Limit
from agent.images.pieces import Buffer, DataPiece, Piece, Run, ZeroPiece
from agent.writing.threads import in_threads

OnWritten = Callable[[int], None]
"""Gets the number of bytes that were written, or zeroed, just now; in the calling thread."""

_MOST_ZEROES = 1 << 30
"""Bytes zeroed by one call: a disk that has to write them takes seconds, and there is progress."""


class Store(Protocol):
    """What is written to; from several threads, at places that do not overlap."""

    def pwritev(self, buffers: list[Buffer], offset: int) -> None:
        """Write the buffers one after another, from ``offset`` (bytes) on."""
        ...

    def zero(self, offset: int, length: int) -> None:
        """Make a range read as zero."""
        ...


class Witness(Protocol):
    """Takes note of what went where, from several threads."""

    def saw(self, part: Run | ZeroPiece) -> None:
        """Data, or zeroes, have been written."""
        ...


def write_pieces(
    pieces: Iterable[Piece],
    store: Store,
    *,
    path: Path,
    on_written: OnWritten,
    effort: Effort | None = None,
    witness: Witness | None = None,
) -> None:
    """Write all of them to the store, the disk at ``path``.

    What goes wrong first, in whatever thread, is raised when the others have ended.
    """

    write = partial(_write, store, effort or Effort(), witness)
    for piece in in_threads(_small(pieces), write, path=path):
        on_written(piece.length)


def _write(store: Store, effort: Effort, witness: Witness | None, piece: Piece) -> None:
    if isinstance(piece, ZeroPiece):
        _write_part(store, effort, witness, piece)
        return
    try:
        length = 0
        for part in _made(piece, effort):
            _write_part(store, effort, witness, part)
            length += part.length
        if length != piece.length:
            raise RuntimeError("the parts of a piece are not all of it")
    finally:
        # Also after a failure, and here: where it is counted one may be waiting for room for what comes.
        piece.done()


def _made(piece: DataPiece, effort: Effort) -> Iterator[Run | ZeroPiece]:
    runs = iter(piece.runs())
    while True:
        with effort.spent(Limit.PROCESSOR):
            part = next(runs, None)
        if part is None:
            return
        yield part


def _write_part(store: Store, effort: Effort, witness: Witness | None, part: Run | ZeroPiece) -> None:
    with effort.spent(Limit.DISK):
        if isinstance(part, ZeroPiece):
            store.zero(part.offset, part.length)
        else:
            store.pwritev(list(part.buffers), part.offset)
    if witness is not None:
        with effort.spent(Limit.PROCESSOR):
            witness.saw(part)


def _small(pieces: Iterable[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        if not isinstance(piece, ZeroPiece):
            yield piece
            continue
        for begin in range(0, piece.length, _MOST_ZEROES):
            yield ZeroPiece(piece.offset + begin, min(_MOST_ZEROES, piece.length - begin))
