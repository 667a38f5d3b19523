"""What an L2 table maps: which bytes of the file become which bytes of the virtual disk.

Source: QEMU's docs/interop/qcow2.txt, "Cluster mapping" and "Extended L2 Entries".
"""

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.images.errors import PUBLISH_AGAIN, BadFormat
from agent.images.extent import Extent
from agent.images.qcow2.header import Qcow2Header

OFFSET = (1 << 56) - 512
"""The bits of an L1 or L2 entry that are an offset in the file."""

_COMPRESSED = 1 << 62
_ZERO = 1
_SECTOR = 512
_SUBCLUSTERS = 32
_ALL = (1 << _SUBCLUSTERS) - 1


class ZeroRange(NamedTuple):
    """``length`` bytes of the virtual disk from ``guest`` on that read as zero, and are not in the file."""

    guest: int
    length: int


@dataclass(slots=True)
class Mapping:
    """What one L2 table maps, in the order of the virtual disk; neighbours are joined."""

    data: list[Extent] = field(default_factory=list)
    zero: list[ZeroRange] = field(default_factory=list)

    def add_data(self, host: int, guest: int, length: int) -> None:
        """Add bytes that stand in the file as they are."""
        last = self.data[-1] if self.data else None
        if last and not last.packed and last.host + last.length == host and last.guest + last.length == guest:
            self.data[-1] = Extent(last.host, last.guest, last.length + length, 0)
        else:
            self.data.append(Extent(host, guest, length, 0))

    def add_zero(self, guest: int, length: int) -> None:
        """Add bytes that read as zero."""
        last = self.zero[-1] if self.zero else None
        if last and last.guest + last.length == guest:
            self.zero[-1] = ZeroRange(last.guest, last.length + length)
        else:
            self.zero.append(ZeroRange(guest, length))


def words_of(table: bytes) -> "array[int]":
    """Give the 64-bit big-endian words that a table is made of."""
    words = array("Q", table)
    if sys.byteorder == "little":
        words.byteswap()
    return words


def mapping_of(header: Qcow2Header, table: bytes, start: int) -> Mapping:
    """Decode the L2 table that maps the virtual disk from byte ``start`` on; BadFormat where it is damaged.

    What lies beyond the virtual disk's end is left out. Offsets are aligned as they must be; whether they are
    within the file is for the caller to see.
    """
    end = min(header.virtual_size, start + header.table_span)
    mapping = Mapping()
    if not any(table):
        mapping.add_zero(start, end - start)
    elif header.has_subclusters:
        _decode_extended(header, words_of(table), start, end, mapping)
    else:
        _decode(header, words_of(table), start, end, mapping)
    return mapping


def _decode(header: Qcow2Header, words: "array[int]", start: int, end: int, mapping: Mapping) -> None:
    size = header.cluster_size
    for guest, word in zip(range(start, end, size), words, strict=False):
        length = min(size, end - guest)
        if word & _COMPRESSED:
            mapping.data.append(_packed(header, word, guest, length))
        elif word & _ZERO:
            if header.version < 3:
                raise damaged(f"a zero cluster at byte {guest} of the disk, which version 2 does not know")
            mapping.add_zero(guest, length)
        elif host := word & OFFSET:
            _require_aligned(header, host, guest)
            mapping.add_data(host, guest, length)
        else:
            mapping.add_zero(guest, length)


def _decode_extended(
    header: Qcow2Header, words: "array[int]", start: int, end: int, mapping: Mapping
) -> None:
    size = header.cluster_size
    for index, guest in enumerate(range(start, end, size)):
        word, bitmap = words[2 * index], words[2 * index + 1]
        length = min(size, end - guest)
        if word & _COMPRESSED:
            mapping.data.append(_packed(header, word, guest, length))
            continue
        host, allocated, zero = word & OFFSET, bitmap & _ALL, bitmap >> _SUBCLUSTERS
        if allocated & zero or (allocated and not host):
            raise damaged(f"subclusters at byte {guest} of the disk that are two things at once")
        if allocated:
            _require_aligned(header, host, guest)
        for first, count, is_data in _runs(allocated):
            _add_subclusters(header, mapping, host if is_data else 0, guest, length, first, count)


def _add_subclusters(
    header: Qcow2Header, mapping: Mapping, host: int, guest: int, length: int, first: int, count: int
) -> None:
    """Add ``count`` subclusters from number ``first`` on, as far as the cluster's ``length`` goes."""
    size = header.cluster_size // _SUBCLUSTERS
    begin, end = first * size, min(length, (first + count) * size)
    if begin >= end:
        return
    if host:
        mapping.add_data(host + begin, guest + begin, end - begin)
    else:
        mapping.add_zero(guest + begin, end - begin)


def _runs(bitmap: int) -> Iterator[tuple[int, int, bool]]:
    """Yield the runs of equal bits: the first one's number, how many, whether they are set."""
    if bitmap in (0, _ALL):
        yield 0, _SUBCLUSTERS, bool(bitmap)
        return
    first = 0
    while first < _SUBCLUSTERS:
        is_set = bool(bitmap >> first & 1)
        # Of the bits from here on, those that are like the first one.
        rest = (~bitmap if is_set else bitmap) >> first & (_ALL >> first)
        count = (rest & -rest).bit_length() - 1 if rest else _SUBCLUSTERS - first
        yield first, count, is_set
        first += count


def _packed(header: Qcow2Header, word: int, guest: int, length: int) -> Extent:
    shift = 62 - (header.cluster_bits - 8)
    host = word & ((1 << shift) - 1)
    more_sectors = word >> shift & ((1 << (header.cluster_bits - 8)) - 1)
    return Extent(host, guest, length, (more_sectors + 1) * _SECTOR - host % _SECTOR)


def _require_aligned(header: Qcow2Header, host: int, guest: int) -> None:
    if host % header.cluster_size:
        raise damaged(
            f"a cluster at byte {guest} of the disk whose place in the file is not that of a cluster"
        )


def damaged(what: str) -> BadFormat:
    """Give the error for a file with tables that can not be right."""
    return BadFormat(f"The qcow2 file is damaged: its tables name {what}.", hint=PUBLISH_AGAIN)
