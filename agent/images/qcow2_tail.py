"""Whether the last cluster of a qcow2 file is all there.

``qemu-img check`` counts clusters, and takes one that is there in part for there; what is missing then reads
as zero. That a file ends within a cluster proves nothing by itself: compressed data takes as many bytes as it
needs, and with extended L2 entries only the subclusters that are used are written.

Source: QEMU's docs/interop/qcow2.txt, "Cluster mapping" and "Extended L2 Entries". QEMU writes L1 and L2
tables in full, and clusters that are not compressed too, at least up to the end of the virtual disk.
"""

import sys
from array import array
from collections.abc import Iterator

from agent.images.qcow2_header import Incompatible, Qcow2Header
from partitioning.byte_access import ByteReader

_OFFSET = (1 << 56) - 512
_HOST = (1 << 56) - 1
_COMPRESSED = 1 << 62
_ZERO = 1
_SECTOR = 512
_SUBCLUSTERS = 32
_MOST_L1_ENTRIES = (32 << 20) // 8
"""QEMU's own limit (block/qcow2.h, QCOW_MAX_L1_SIZE)."""
_MOST_TABLE_BYTES = 256 << 20
"""How much of L2 tables is looked at: those of 2 TiB in clusters of 64 KiB."""


def is_cut_short(file: ByteReader, header: Qcow2Header) -> bool:
    """Tell whether data that the image needs lies, for certain, beyond the end of its file."""
    try:
        return any(_needed(header, word, bitmap, at) > file.size for at, word, bitmap in _last(file, header))
    except EOFError:  # a table is not complete
        return True


def _last(file: ByteReader, header: Qcow2Header) -> Iterator[tuple[int, int, int]]:
    """Yield the entries of what may reach beyond the end: offset in the virtual disk, entry, bitmap."""
    cluster, extended = 1 << header.cluster_bits, bool(header.incompatible & Incompatible.EXTENDED_L2)
    first = file.size - cluster
    for start, words in _tables(file, header, words_per_entry=2 if extended else 1):
        entries = words[::2] if extended else words
        for index, word in enumerate(entries):
            if word & _HOST > first and word & _OFFSET:
                yield start + index * cluster, word, words[2 * index + 1] if extended else 0xFFFFFFFF


def _tables(
    file: ByteReader, header: Qcow2Header, *, words_per_entry: int
) -> Iterator[tuple[int, "array[int]"]]:
    cluster = 1 << header.cluster_bits
    covered = cluster // (8 * words_per_entry) * cluster
    seen: set[int] = set()
    for index, word in enumerate(_words(file, header.l1_offset, min(header.l1_size, _MOST_L1_ENTRIES))):
        offset = word & _OFFSET
        if offset and offset not in seen and len(seen) * cluster < _MOST_TABLE_BYTES:
            seen.add(offset)
            yield index * covered, _words(file, offset, cluster // 8)


def _words(file: ByteReader, offset: int, count: int) -> "array[int]":
    words = array("Q", file.pread(count * 8, offset))
    if sys.byteorder == "little":
        words.byteswap()
    return words


def _needed(header: Qcow2Header, word: int, bitmap: int, at: int) -> int:
    """Give up to which byte the file has to go for an entry to be complete."""
    if word & _COMPRESSED:
        return _compressed_end(header.cluster_bits, word)
    if word & _ZERO:
        return 0
    cluster = 1 << header.cluster_bits
    used = cluster * (bitmap & 0xFFFFFFFF).bit_length() // _SUBCLUSTERS
    return (word & _OFFSET) + max(0, min(used, header.virtual_size - at))


def _compressed_end(cluster_bits: int, word: int) -> int:
    # The entry counts sectors; the data goes at least one byte into the last of them.
    shift = 62 - (cluster_bits - 8)
    offset = word & ((1 << shift) - 1)
    more_sectors = word >> shift & ((1 << (cluster_bits - 8)) - 1)
    return (offset // _SECTOR + more_sectors) * _SECTOR + 1
