"""Directory entries of a FAT file system that is made anew: short names, long names, the label.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03. Reading them is in
directory.py.
"""

import struct
from collections.abc import Iterator

from partitioning.fat.format import (
    DEFAULT_TIMES,
    DIRECTORY,
    ENTRY,
    ENTRY_SIZE,
    LAST_LONG_ENTRY,
    LONG_NAME,
    VOLUME_LABEL,
    FatTimes,
)
from partitioning.fat.names import ShortName, encode_oem, long_name_pieces
from partitioning.fat.short_names import NamedNode
from partitioning.fat.tree import FatFile

# The form of a long name's entry (section 7): order, units 1 to 5, attributes, type, checksum of the short
# name, units 6 to 11, cluster, units 12 and 13.
_LONG_ENTRY = struct.Struct("<B10sBBB12sH4s")


def size_of(named: NamedNode) -> int:
    """Give how many bytes the entries of one file or directory take."""
    return ENTRY_SIZE * (1 + (len(long_name_pieces(named.node.name)) if named.has_long_name else 0))


def named_entry(named: NamedNode, cluster: int) -> bytes:
    """Give all entries of one file or directory, whose content begins at ``cluster``."""
    node = named.node
    if isinstance(node, FatFile):
        short = _entry(named.short, node.attributes, node.times, cluster, len(node.content))
    else:
        short = _entry(named.short, node.attributes | DIRECTORY, node.times, cluster, 0)
    return b"".join(_long_name(node.name, named.short)) + short if named.has_long_name else short


def dot_entries(times: FatTimes, own_cluster: int, above_cluster: int) -> bytes:
    """Give the two entries that a directory begins with (section 6.5): itself, and the one it is in.

    Both have the directory's own times, as those that make directories give them: the root has none.
    """
    return b"".join(
        _entry(ShortName(raw=name.ljust(11)), DIRECTORY, times, cluster, 0)
        for name, cluster in ((b".", own_cluster), (b"..", above_cluster))
    )


def label_entry(label: str) -> bytes:
    """Give the entry that carries the label (section 6.2)."""
    return _entry(ShortName(raw=label_bytes(label)), VOLUME_LABEL, DEFAULT_TIMES, 0, 0)


def label_bytes(label: str) -> bytes:
    """Give a label as it stands in an entry and in the boot sector."""
    return encode_oem(label).ljust(11)


def _entry(short: ShortName, attributes: int, times: FatTimes, cluster: int, length: int) -> bytes:
    return ENTRY.pack(
        short.raw,
        attributes,
        short.case,
        times.created_tenths,
        times.created_time,
        times.created_date,
        times.accessed_date,
        cluster >> 16,
        times.written_time,
        times.written_date,
        cluster & 0xFFFF,
        length,
    )


def _long_name(name: str, short: ShortName) -> Iterator[bytes]:
    """Give the long name's entries in the order they have on the disk: the last piece first (section 7)."""
    pieces = long_name_pieces(name)
    for number, piece in reversed(list(enumerate(pieces, start=1))):
        last = LAST_LONG_ENTRY if number == len(pieces) else 0
        yield _LONG_ENTRY.pack(
            number | last, piece[:10], LONG_NAME, 0, short.checksum, piece[10:22], 0, piece[22:]
        )
