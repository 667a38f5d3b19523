"""A partition of an image, as a reader of its own."""

from partitioning.byte_access import ByteReader, RangeReader
from partitioning.table import Partition


def partition_window(reader: ByteReader, part: Partition) -> ByteReader:
    """Look at ``part`` of the image behind ``reader``.

    A partition whose end was rounded up to a whole sector may end behind the image; the window does not.
    """
    return RangeReader(reader, part.start, max(0, min(part.size, reader.size - part.start)))
