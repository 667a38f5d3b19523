"""Whether a VMDK file says the same twice: by its tables, and by its markers in their order.

Only a file in which both agree has to read the same while it comes; those who have all of it go by the
tables, as QEMU does, and these come too late for who reads on the way. Nothing of the agent is used here.
"""

import struct
from collections.abc import Iterator
from itertools import zip_longest

from tests.fuzz.subject import Agreement
from tests.ova_samples import AT_END, HEADER, SECTOR

_MARKER = struct.Struct("<QII")
_STREAMED = 1 << 16 | 1 << 17
_FLAGS, _CAPACITY, _GRAIN, _ENTRIES, _DIRECTORY, _OVERHEAD = 2, 3, 4, 7, 9, 10
_SAME = (0, 1, _FLAGS, _CAPACITY, _GRAIN, _ENTRIES, 12, 13)
"""What a footer repeats; with the magic, the version, the line ends and the compression."""
_METADATA = (1, 2, 3)
_A_GRAIN = 0
_MOST_METADATA = 1 << 21
_ZEROED = 1

_Fields = tuple[int, ...]


def vmdk_agreement(disk: bytes) -> Agreement:
    """Compare all that a disk says."""
    try:
        head: _Fields = HEADER.unpack_from(disk)
        if not _can_be_streamed(disk, head):
            return Agreement.WHOLE_ONLY
        tables = head if head[_DIRECTORY] != AT_END else _footer(disk, head)
        pairs = zip_longest(_by_markers(disk, head), _by_tables(disk, tables))
        agree = all(marked == listed for marked, listed in pairs)
        agree = agree and (head[_DIRECTORY] != AT_END or _are_marked(disk, head, tables))
    except (struct.error, ValueError, ArithmeticError):
        agree = False
    return Agreement.SAME if agree else Agreement.CONTRADICTION


def _can_be_streamed(disk: bytes, head: _Fields) -> bool:
    if head[_FLAGS] & _STREAMED != _STREAMED:
        return False
    return head[_DIRECTORY] == AT_END or _tables_end(disk, head) <= head[_OVERHEAD] * SECTOR


def _tables_end(disk: bytes, head: _Fields) -> int:
    """Where the last of directory and tables ends (bytes)."""
    count = -(-head[_CAPACITY] // (head[_GRAIN] * head[_ENTRIES]))
    directory_end = head[_DIRECTORY] * SECTOR + 4 * count
    if directory_end > head[_OVERHEAD] * SECTOR:
        return directory_end
    tables = [sector for sector in _words(disk, head[_DIRECTORY], count) if sector]
    return max([directory_end, *(sector * SECTOR + 4 * head[_ENTRIES] for sector in tables)])


def _footer(disk: bytes, head: _Fields) -> _Fields:
    foot: _Fields = HEADER.unpack_from(disk, len(disk) - 2 * SECTOR)
    if [foot[field] for field in _SAME] != [head[field] for field in _SAME]:
        raise ValueError("another disk than the header's")
    return foot


def _by_tables(disk: bytes, fields: _Fields) -> Iterator[tuple[int, int]]:
    """Yield where each grain belongs and where it stands (sectors)."""
    grain, entries = fields[_GRAIN], fields[_ENTRIES]
    tables = -(-fields[_CAPACITY] // (grain * entries))
    for number, table in enumerate(_words(disk, fields[_DIRECTORY], tables)):
        for index, sector in enumerate(_words(disk, table, entries) if table else ()):
            guest = (number * entries + index) * grain
            if sector > _ZEROED and guest < fields[_CAPACITY]:
                yield guest, sector


def _words(disk: bytes, sector: int, count: int) -> tuple[int, ...]:
    if count * 4 > len(disk):
        raise ValueError("a table that is longer than the file")
    return struct.unpack_from(f"<{count}I", disk, sector * SECTOR)


def _by_markers(disk: bytes, head: _Fields) -> Iterator[tuple[int, int]]:
    """Yield the same in the order in which they come."""
    return ((value, at) for kind, value, at in _markers(disk, head) if kind == _A_GRAIN)


def _are_marked(disk: bytes, head: _Fields, footer: _Fields) -> bool:
    """Whether tables, directory and footer stand behind markers that say so, and only they do."""
    found: dict[int, list[int]] = {kind: [] for kind in (_A_GRAIN, *_METADATA)}
    for kind, _, at in _markers(disk, head):
        found[kind].append(at + 1)
    tables, directories, footers = (found[kind] for kind in _METADATA)
    count = -(-head[_CAPACITY] // (head[_GRAIN] * head[_ENTRIES]))
    named = {sector for sector in _words(disk, footer[_DIRECTORY], count) if sector}
    return (
        # The markers' sectors count from the file's beginning; the footer is looked for from its end.
        len(disk) % SECTOR == 0
        and footers == [len(disk) // SECTOR - 2]
        and directories[-1:] == [footer[_DIRECTORY]]
        and named <= set(tables)
        and len(tables) <= count
    )


def _markers(disk: bytes, head: _Fields) -> Iterator[tuple[int, int, int]]:
    """Yield what each marker says, and where it stands (sectors)."""
    at = head[_OVERHEAD]
    while at * SECTOR < len(disk):
        value, size, kind = _MARKER.unpack_from(disk, at * SECTOR)
        if size:
            yield _A_GRAIN, value, at
            at += -(-(_MARKER.size - 4 + size) // SECTOR)
        elif kind == 0:
            return
        elif kind in _METADATA and value <= _MOST_METADATA:
            yield kind, value, at
            at += 1 + value
        else:
            raise ValueError("a marker of another kind")
    if head[_DIRECTORY] == AT_END:
        raise ValueError("no marker of the end")
