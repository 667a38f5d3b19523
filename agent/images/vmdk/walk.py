"""A VMDK disk in pieces, table by table."""

from collections.abc import Iterator
from functools import partial

from agent.images.batch import Batch
from agent.images.extent import Extent
from agent.images.pieces import MOST_BYTES, Incoming, Piece, ZeroPiece
from agent.images.vmdk.header import FILE, SECTOR, VmdkHeader
from agent.images.vmdk.tables import read_directory, read_table
from agent.images.vmdk.unpack import unpacker


def walk(header: VmdkHeader, file: Incoming) -> Iterator[Piece]:
    """Yield all of the disk, each byte once. Raises BadFormat, and what reading the file raises."""
    at = 0
    for index, sector in enumerate(read_directory(header, file)):
        if not sector:
            continue
        extents = read_table(header, file, sector, index * header.table_span)
        for extent in extents:
            if extent.guest > at:
                yield ZeroPiece(at, extent.guest - at)
            at = extent.guest + extent.length
        yield from _batches(header, file, sorted(extents))
    if at < header.capacity:
        yield ZeroPiece(at, header.capacity - at)


def _batches(header: VmdkHeader, file: Incoming, extents: list[Extent]) -> Iterator[Piece]:
    """Read together what stands together in the file; between grains a sector is filled up."""
    together: list[Extent] = []
    length = 0
    for extent in extents:
        if together and (length >= MOST_BYTES or extent.host - together[-1].host_end >= SECTOR):
            yield Batch(file, together, partial(unpacker, header), kind=FILE)
            together, length = [], 0
        together.append(extent)
        length += extent.length
    if together:
        yield Batch(file, together, partial(unpacker, header), kind=FILE)
