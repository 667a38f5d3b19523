"""The grains of a stream-optimised VMDK file by their markers, in the order in which they come.

Source: VMware's "Virtual Disk Format 1.1", "Stream-Optimized Compressed Sparse Extents". The tables, which
have to say the same (agreement.py), mostly stand behind the grains, and so come too late.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from agent.images.errors import cut_short
from agent.images.extent import Extent
from agent.images.pieces import Incoming
from agent.images.vmdk.header import FILE, MARKER_BYTES, SECTOR, VmdkHeader, damaged

_MARKER = struct.Struct("<QII")
_MOST_METADATA = 1 << 30
"""Bytes of a table or the directory; the disk of 8 EiB that has such is none."""


class Kind(IntEnum):
    """What a marker without data of its own stands before."""

    END = 0
    TABLE = 1
    DIRECTORY = 2
    FOOTER = 3


@dataclass(frozen=True, slots=True)
class Passed:
    """Bytes of the file that are no grain: from ``start`` to ``end``."""

    start: int
    end: int
    kind: Kind | None = None
    """What it is; None for all that stands before the first marker."""


def read_markers(header: VmdkHeader, file: Incoming) -> Iterator[Extent | Passed]:
    """Yield all of the file, as far as its end marker. Raises BadFormat, and what reading the file raises."""
    yield Passed(0, header.first_grain)
    at, next_guest = header.first_grain, 0
    # What qemu-img writes need not end in a marker.
    while file.come(at + _MARKER.size) > at:
        value, size, kind = _read_marker(file, at)
        if size:
            extent = _grain(header, at, int(value), int(size))
            if extent.guest < next_guest:
                raise damaged(
                    f"the grain for byte {extent.guest} of the disk comes late or twice. Where its grains are"
                    " not in order it can not be written while it is downloaded (--staging memory)"
                )
            next_guest = extent.guest + extent.length
            yield extent
            at = extent.host_end
            continue
        if kind == Kind.END:
            return
        end = at + SECTOR + _metadata_bytes(int(value), int(kind))
        yield Passed(at, end, Kind(kind))
        at = end
    if header.tables_come_last:
        raise cut_short(FILE, file.size)


def _read_marker(file: Incoming, at: int) -> tuple[int, int, int]:
    try:
        value, size, kind = _MARKER.unpack(file.pread(_MARKER.size, at))
    except EOFError as error:
        raise cut_short(FILE, file.size) from error
    return value, size, kind


def _grain(header: VmdkHeader, at: int, sector: int, size: int) -> Extent:
    guest = sector * SECTOR
    if guest >= header.capacity or guest % header.grain_size or size > 2 * header.grain_size:
        raise damaged(f"the grain at byte {at} has no place on the disk")
    length = min(header.grain_size, header.capacity - guest)
    # The next marker stands in a sector of its own.
    return Extent(at, guest, length, -(-(MARKER_BYTES + size) // SECTOR) * SECTOR)


def _metadata_bytes(sectors: int, kind: int) -> int:
    length = sectors * SECTOR
    if kind not in (Kind.TABLE, Kind.DIRECTORY, Kind.FOOTER) or length > _MOST_METADATA:
        raise damaged(f"it has a marker of the kind {kind} for {sectors} sectors")
    return length
