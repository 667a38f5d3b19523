"""Unpacking compressed clusters. Each is packed by itself: raw deflate with a window of 4 KiB, or zstd.

Source: QEMU's docs/interop/qcow2.txt, "Compressed Clusters Descriptor", block/qcow2-threads.c, and RFC 8878.
"""

from agent.images.batch import Unpack
from agent.images.errors import PUBLISH_AGAIN, BadFormat
from agent.images.qcow2.header import Compression

_WINDOW_BITS = 12
_RLE_BLOCK = 1
_CHECKSUM_BYTES = 4


def unpacker(compression: Compression, cluster_size: int) -> Unpack:
    """Give what unpacks clusters of ``cluster_size`` bytes; it is for one thread."""
    return _zlib(cluster_size) if compression is Compression.ZLIB else _zstd(cluster_size)


def _zlib(cluster_size: int) -> Unpack:
    from isal import igzip_lib  # takes time, and most commands unpack nothing

    def unpack(packed: memoryview) -> tuple[bytes, int]:
        reader = igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_DEFLATE, hist_bits=_WINDOW_BITS)
        try:
            # Never more than a cluster, whatever the bytes would unpack to.
            data = reader.decompress(packed, cluster_size)
        except (igzip_lib.IsalError, EOFError) as error:  # type: ignore[misc]  # the stub calls it a value
            raise _damaged() from error
        if len(data) != cluster_size:
            raise _damaged()
        return data, len(packed) - len(reader.unused_data)

    return unpack


def _zstd(cluster_size: int) -> Unpack:
    import zstandard

    reader = zstandard.ZstdDecompressor()

    def unpack(packed: memoryview) -> tuple[bytes, int]:
        try:
            frame = zstandard.get_frame_parameters(packed)
            # A frame may claim any size, and memory would be taken for it.
            if frame.content_size not in (zstandard.CONTENTSIZE_UNKNOWN, cluster_size):
                raise _damaged()
            used = zstandard.frame_header_size(packed)
            used += _blocks_length(packed[used:]) + (_CHECKSUM_BYTES if frame.has_checksum else 0)
            data = reader.decompress(packed[:used], max_output_size=cluster_size)
        except zstandard.ZstdError as error:
            raise _damaged() from error
        if len(data) != cluster_size:
            raise _damaged()
        return data, used

    return unpack


def _blocks_length(blocks: memoryview) -> int:
    """Give how many bytes the blocks of a zstd frame take (RFC 8878, section 3.1.1.2)."""
    at, is_last = 0, False
    while not is_last:
        header = int.from_bytes(blocks[at : at + 3], "little")
        if at + 3 > len(blocks):
            raise _damaged()
        is_last = bool(header & 1)
        at += 3 + (1 if header >> 1 & 3 == _RLE_BLOCK else header >> 3)
    return at


def _damaged() -> BadFormat:
    return BadFormat(
        "The qcow2 file is damaged: a compressed cluster can not be unpacked.", hint=PUBLISH_AGAIN
    )
