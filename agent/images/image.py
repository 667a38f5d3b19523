"""An image: what it is, how long it is, and how to read it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from agent.fetch.spool import Spool
from agent.images.errors import not_while_it_comes
from agent.images.file_window import FileWindow
from agent.images.ova.archive import Member
from agent.images.pieces import Incoming, Piece
from agent.images.qcow2.header import Qcow2Header
from agent.images.qcow2.reader import qcow2_reader
from agent.images.qcow2.walk import walk as qcow2_walk
from agent.images.raw_pieces import raw_pieces
from agent.images.view import View
from agent.images.vmdk.arriving import arriving_pieces, arriving_reader
from agent.images.vmdk.header import VmdkHeader, read_first_header, read_header
from agent.images.vmdk.reader import vmdk_reader
from agent.images.vmdk.tables import survey, tables_come_first
from agent.images.vmdk.walk import walk as vmdk_walk
from agent.request.model import ImageType
from partitioning.byte_access import ByteReader

_UNIT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image of a checked format; sizes are bytes."""

    type: ImageType
    file_size: int | None
    """None where it is not known yet."""
    virtual_size: int | None
    """None where it is not known before all of the file has come."""
    held: int
    """How much memory what is held of it takes at the most."""
    reader: ByteReader
    pieces: Callable[[], Iterator[Piece]]
    """Gives all that the image reads as, once: what was read of the file is given back meanwhile."""
    view: View | None
    """How other programs read it; None as long as its file is on its way."""


def qcow2_image(spool: Spool, header: Qcow2Header) -> Image:
    """Look at a qcow2 file through its format. Raises BadFormat."""
    return Image(
        type=ImageType.QCOW2,
        file_size=spool.size,
        virtual_size=header.virtual_size,
        held=spool.most_held,
        reader=qcow2_reader(header, spool),
        pieces=partial(qcow2_walk, header, spool),
        view=View(fd=spool.fd, format="qcow2") if spool.can_start_again else None,
    )


def raw_image(*, fd: int | None, file_size: int | None, reader: Incoming, held: int = 0) -> Image:
    """Look at a raw file as it is; ``fd`` is None where it is not all there, ``file_size`` if not known."""
    return Image(
        type=ImageType.RAW,
        file_size=file_size,
        virtual_size=None if file_size is None else padded(file_size),
        held=held,
        reader=reader,
        pieces=partial(raw_pieces, reader),
        view=None if fd is None else View(fd=fd, format="raw"),
    )


def ova_image(spool: Spool, disk: Member) -> Image:
    """Look at the VMDK disk in an archive. Raises BadFormat, and UnsafeImage."""
    window = FileWindow(spool, disk.start, disk.size)
    header = read_header(window)
    survey(header, window)
    return Image(
        type=ImageType.OVA,
        file_size=spool.size,
        virtual_size=header.capacity,
        held=spool.most_held,
        reader=vmdk_reader(header, window),
        pieces=partial(vmdk_walk, header, window),
        view=View(fd=spool.fd, format="vmdk", window=(disk.start, disk.size)),
    )


def arriving_ova_image(spool: Spool, disk: Member) -> Image:
    """Look at the VMDK disk in an archive that is on its way, when all has come that stands before its data.

    Raises BadFormat, UnsafeImage, Refused, and what reading the file raises.
    """
    # What is ahead of the disk has passed, but need not have been given back, nor all of it have come here.
    spool.release(0, disk.start)
    spool.release(0, spool.come(disk.start))
    window = FileWindow(spool, disk.start, disk.size)
    header = read_first_header(window)
    if not (header.is_compressed and header.has_markers and _is_in_order(header, window)):
        raise not_while_it_comes("its VMDK disk is of a kind that has to be there as a whole.")
    # What there is no room for is found out now, and not when the disk has been wiped.
    window.come(header.first_grain)
    return Image(
        type=ImageType.OVA,
        file_size=spool.size,
        virtual_size=header.capacity,
        held=spool.most_held,
        reader=arriving_reader(header, window),
        pieces=partial(arriving_pieces, header, window),
        view=None,
    )


def _is_in_order(header: VmdkHeader, file: FileWindow) -> bool:
    return header.tables_come_last or tables_come_first(header, file)


def padded(size: int) -> int:
    """Give ``size`` (bytes) rounded up to whole sectors of 512 bytes."""
    return -(-size // _UNIT) * _UNIT
