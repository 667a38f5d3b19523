"""Unpacking a grain: its marker, and the zlib format (RFC 1950)."""

from agent.images.batch import Unpack
from agent.images.errors import PUBLISH_AGAIN, BadFormat
from agent.images.vmdk.header import MARKER_BYTES, VmdkHeader

_LENGTH = slice(8, MARKER_BYTES)
"""Where a marker tells how many packed bytes follow it."""


def unpacker(header: VmdkHeader) -> Unpack:
    """Give what unpacks the grains of a file; it is for one thread."""
    from isal import igzip_lib  # takes time, and most commands unpack nothing

    # The last one may be as short as the disk makes it.
    lengths = (header.grain_size, header.capacity % header.grain_size)

    def unpack(packed: memoryview) -> tuple[bytes, int]:
        reader = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_ZLIB)
        # What comes is taken by whole sectors; what is behind the end of the grain is not of it.
        length = int.from_bytes(packed[_LENGTH], "little")
        try:
            # Never more than a grain, whatever the bytes would unpack to.
            data = reader.decompress(packed[MARKER_BYTES : MARKER_BYTES + length], header.grain_size)
        except (igzip_lib.IsalError, EOFError) as error:  # type: ignore[misc]  # the stub calls it a value
            raise _damaged() from error
        if not data or len(data) not in lengths:
            raise _damaged()
        return data, len(packed)

    return unpack


def _damaged() -> BadFormat:
    return BadFormat("The VMDK file is damaged: a grain can not be unpacked.", hint=PUBLISH_AGAIN)
