"""Opening a file of which the beginning has come: what can be told of it, and what reads it as it comes."""

from collections.abc import Callable
from dataclasses import replace

from agent.fetch.downloaded import FIRST_BYTES
from agent.fetch.errors import TooBigForMemory
from agent.fetch.stream_spool import StreamSpool
from agent.images.first_bytes import check_first_bytes
from agent.images.image import Image, arriving_ova_image, qcow2_image, raw_image
from agent.images.ova.passing import PassingArchive
from agent.images.qcow2 import header as qcow2_header
from agent.images.qcow2.header import Qcow2Header
from agent.images.qcow2.tables import read_l1
from agent.request.model import ImageType
from partitioning.byte_access import ByteReader, NotThereYet


class ArrivingReader:
    """Reads what has come, and waits for what will come without anything being used before."""

    def __init__(self, reader: ByteReader) -> None:
        """Read through ``reader``."""
        self._reader = reader

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._reader.size

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``. Raises NotThereYet, and what ``reader`` raises."""
        try:
            return self._reader.pread(length, offset)
        except TooBigForMemory as error:
            raise NotThereYet from error


def open_arriving(spool: StreamSpool, image_type: ImageType) -> Image:
    """Open the image that comes into ``spool``, as soon as its first bytes are there.

    Raises BadFormat, UnsafeImage, Refused, and what the download ended with.
    """
    first = spool.pread(spool.come(FIRST_BYTES), 0)
    check_first_bytes(first, image_type)
    match image_type:
        case ImageType.QCOW2:
            header = qcow2_header.parse(first)
            _require_near_table(header, spool)
            image = qcow2_image(spool, header)
        case ImageType.RAW:
            image = raw_image(fd=None, file_size=spool.known_size, reader=spool, held=spool.most_held)
        case ImageType.OVA:
            raise RuntimeError("an archive is opened as such, when its disk has begun to come")
    return _arriving(image, spool)


def open_arriving_ova(spool: StreamSpool, archive: PassingArchive, look_around: Callable[[], None]) -> Image:
    """Open the archive that comes into ``spool``, and passes ``archive``, when its disk has begun to come.

    Raises BadFormat, UnsafeImage, Refused, and what ``look_around`` raises.
    """
    check_first_bytes(spool.pread(spool.come(FIRST_BYTES), 0), ImageType.OVA)

    def pass_what_is_ahead() -> None:
        look_around()
        if spool.has_ended:
            archive.end()
        spool.release(0, archive.passed)

    return _arriving(arriving_ova_image(spool, archive.disk(pass_what_is_ahead)), spool)


def _arriving(image: Image, spool: StreamSpool) -> Image:
    return replace(image, reader=ArrivingReader(image.reader), file_size=spool.known_size)


def _require_near_table(header: Qcow2Header, spool: StreamSpool) -> None:
    """Make sure that some data can be used before all room is taken. Raises TooBigForMemory, BadFormat."""
    tables, _ = read_l1(header, spool)
    if tables:
        spool.come(min(table.host for table in tables) + header.cluster_size)
