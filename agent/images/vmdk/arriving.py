"""A stream-optimised VMDK disk that is on its way: its grains are taken as they come."""

from bisect import bisect_left
from collections.abc import Iterator
from functools import partial

from agent.images.batch import Batch
from agent.images.extent import Extent
from agent.images.extent_reader import ExtentReader, Layout
from agent.images.pieces import MOST_BYTES, Incoming, Piece, ZeroPiece
from agent.images.vmdk.agreement import Agreement
from agent.images.vmdk.header import FILE, VmdkHeader
from agent.images.vmdk.markers import Passed, read_markers
from agent.images.vmdk.unpack import unpacker

_LOOKED_UP_TOGETHER = 64
"""Grains: to see the first of them, the last has to come."""


def arriving_pieces(header: VmdkHeader, file: Incoming) -> Iterator[Piece]:
    """Yield all of the disk, each byte once. Raises BadFormat, and what reading the file raises."""
    guest, length = 0, 0
    agreement = Agreement(header, file)
    together: list[Extent] = []
    for found in read_markers(header, file):
        if isinstance(found, Passed):
            agreement.passed(found)
            file.release(found.start, file.come(found.end))
            continue
        if found.guest > guest:
            yield ZeroPiece(guest, found.guest - guest)
        guest = found.guest + found.length
        agreement.grain(found)
        if together and (length >= MOST_BYTES or found.host != together[-1].host_end):
            yield Batch(file, together, partial(unpacker, header), kind=FILE)
            together, length = [], 0
        together.append(found)
        length += found.length
    if together:
        yield Batch(file, together, partial(unpacker, header), kind=FILE)
    agreement.check()
    if guest < header.capacity:
        yield ZeroPiece(guest, header.capacity - guest)


def arriving_reader(header: VmdkHeader, file: Incoming) -> ExtentReader:
    """Give a reader of the disk, which waits until it is known what stands where it is asked for."""
    layout = Layout(
        kind=FILE, size=header.capacity, unit=header.grain_size, entries_per_table=_LOOKED_UP_TOGETHER
    )
    return ExtentReader(layout, file, _Grains(header, file, layout.table_span).within, unpacker(header))


class _Grains:
    """The grains that have come so far."""

    def __init__(self, header: VmdkHeader, file: Incoming, span: int) -> None:
        self._span = span
        self._known: list[Extent] = []
        self._coming = (found for found in read_markers(header, file) if isinstance(found, Extent))
        self._all_known = False
        self._failure: BaseException | None = None

    def within(self, number: int) -> list[Extent]:
        """Give those of one span of the disk."""
        start, end = number * self._span, (number + 1) * self._span
        while not self._all_known and (not self._known or self._known[-1].guest < end):
            following = self._next()
            if following is None:
                self._all_known = True
            else:
                self._known.append(following)
        first = bisect_left(self._known, start, key=lambda extent: extent.guest)
        last = bisect_left(self._known, end, key=lambda extent: extent.guest)
        return self._known[first:last]

    def _next(self) -> Extent | None:
        # A generator that has raised is at its end, and what has not come would pass for zeroes.
        if self._failure is not None:
            raise self._failure
        try:
            return next(self._coming, None)
        except BaseException as failure:
            self._failure = failure
            raise
