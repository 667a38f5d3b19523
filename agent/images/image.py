"""An image that lies complete in memory: what it is, how long it is, and how to read it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from agent.fetch.spool import Spool
from agent.images.file_window import FileWindow
from agent.images.ova.archive import Member
from agent.images.pieces import Incoming, Piece
from agent.images.qcow2.header import Qcow2Header
from agent.images.qcow2.reader import qcow2_reader
from agent.images.qcow2.walk import walk as qcow2_walk
from agent.images.raw_pieces import raw_pieces
from agent.images.vmdk.header import read_header
from agent.images.vmdk.reader import vmdk_reader
from agent.images.vmdk.tables import survey
from agent.images.vmdk.walk import walk as vmdk_walk
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
    driver: str
    """QEMU's name of the format."""
    window: tuple[int, int] | None = None
    """Where in the file the image is, when it is not all of it: offset and length."""


def qcow2_image(spool: Spool, header: Qcow2Header) -> Image:
    """Look at a qcow2 file through its format. Raises BadFormat."""
    return Image(
        type=ImageType.QCOW2,
        fd=spool.fd,
        file_size=spool.size,
        virtual_size=header.virtual_size,
        reader=qcow2_reader(header, spool),
        pieces=partial(qcow2_walk, header, spool),
        driver="qcow2",
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
        driver="raw",
    )


def ova_image(spool: Spool, disk: Member) -> Image:
    """Look at the VMDK disk in an archive. Raises BadFormat, and UnsafeImage."""
    window = FileWindow(spool, disk.start, disk.size)
    header = read_header(window)
    survey(header, window)
    return Image(
        type=ImageType.OVA,
        fd=spool.fd,
        file_size=spool.size,
        virtual_size=header.capacity,
        reader=vmdk_reader(header, window),
        pieces=partial(vmdk_walk, header, window),
        driver="vmdk",
        window=(disk.start, disk.size),
    )


def padded(size: int) -> int:
    """Give ``size`` (bytes) rounded up to whole sectors of 512 bytes."""
    return -(-size // _UNIT) * _UNIT
