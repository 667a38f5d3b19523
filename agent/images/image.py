"""An image that lies complete in memory: what it is, how long it is, and how to read it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from agent.fetch.spool import Spool
from agent.images.pieces import Incoming, Piece
from agent.images.qcow2.header import Qcow2Header
from agent.images.qcow2.reader import Qcow2Reader
from agent.images.qcow2.walk import walk
from agent.images.raw_pieces import raw_pieces
from agent.request.model import ImageType
from partitioning.byte_access import ByteReader

_UNIT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image of a checked format. ``fd`` is the file as downloaded; sizes are bytes."""

    type: ImageType
    fd: int
    file_size: int
    virtual_size: int
    reader: ByteReader
    pieces: Callable[[], Iterator[Piece]]
    """Gives all that the image reads as, once: what was read of the file is given back meanwhile."""


def qcow2_image(spool: Spool, header: Qcow2Header) -> Image:
    """Look at a qcow2 file through its format. Raises BadFormat."""
    return Image(
        type=ImageType.QCOW2,
        fd=spool.fd,
        file_size=spool.size,
        virtual_size=header.virtual_size,
        reader=Qcow2Reader(header, spool),
        pieces=partial(walk, header, spool),
    )


def raw_image(*, fd: int, file_size: int, reader: Incoming) -> Image:
    """Look at a raw file as it is."""
    return Image(
        type=ImageType.RAW,
        fd=fd,
        file_size=file_size,
        virtual_size=padded(file_size),
        reader=reader,
        pieces=partial(raw_pieces, reader),
    )


def padded(size: int) -> int:
    """Give ``size`` (bytes) rounded up to whole sectors of 512 bytes."""
    return -(-size // _UNIT) * _UNIT
