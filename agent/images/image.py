"""An image that lies complete in memory: what it is, how long it is, and how to read it."""

from dataclasses import dataclass

from agent.images.reader import QemuImgReader
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


def qcow2_image(*, fd: int, file_size: int, virtual_size: int) -> Image:
    """Look at a qcow2 file through its format."""
    return Image(
        type=ImageType.QCOW2,
        fd=fd,
        file_size=file_size,
        virtual_size=virtual_size,
        reader=QemuImgReader(format_name=ImageType.QCOW2, fd=fd, size=virtual_size),
    )


def raw_image(*, fd: int, file_size: int, reader: ByteReader) -> Image:
    """Look at a raw file as it is."""
    return Image(
        type=ImageType.RAW, fd=fd, file_size=file_size, virtual_size=padded(file_size), reader=reader
    )


def padded(size: int) -> int:
    """Give ``size`` (bytes) rounded up to whole sectors of 512 bytes."""
    return -(-size // _UNIT) * _UNIT
