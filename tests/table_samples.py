"""Disks in memory for the tests of partition tables, packed here independently of the code under test."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID
from zlib import crc32

LINUX = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
ESP = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
ONE = UUID(int=1)
DISK_GUID = UUID("11111111-2222-3333-4444-555555555555")


class Store:
    """A ByteStore over bytes that remembers what was written where."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.writes: list[tuple[int, int]] = []

    @property
    def size(self) -> int:
        return len(self.data)

    def pread(self, length: int, offset: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(self.data), (offset, length)
        return bytes(self.data[offset : offset + length])

    def pwrite(self, data: bytes, offset: int) -> None:
        assert 0 <= offset <= offset + len(data) <= len(self.data), (offset, len(data))
        self.writes.append((offset, len(data)))
        self.data[offset : offset + len(data)] = data

    def changed(self, before: bytes) -> list[tuple[int, int]]:
        """The runs of bytes (first, after the last) that differ from ``before``."""
        runs: list[tuple[int, int]] = []
        for block in range(0, len(before), 4096):
            old, new = before[block : block + 4096], self.data[block : block + 4096]
            for at in range(block, block + len(old)) if old != new else ():
                if before[at] == self.data[at]:
                    continue
                if runs and runs[-1][1] == at:
                    runs[-1] = (runs[-1][0], at + 1)
                else:
                    runs.append((at, at + 1))
        return runs


@dataclass
class Part:
    """A GPT partition to put on a sample."""

    first: int
    last: int
    kind: UUID = LINUX
    guid: UUID = ONE
    attributes: int = 0
    name: str = ""


def mbr(entries: Sequence[tuple[int, int, int, int]], *, boot_code: bytes = b"", signature: int = 0) -> bytes:
    """An MBR of (status, type, first LBA, sectors)."""
    packed = b"".join(
        struct.pack("<B3sB3sII", status, b"\1\2\3", kind, b"\4\5\6", first, count)
        for status, kind, first, count in entries
    )
    return (
        boot_code.ljust(440, b"\0") + struct.pack("<IH", signature, 0) + packed.ljust(64, b"\0") + b"\x55\xaa"
    )


def header(
    *,
    mine: int,
    other: int,
    first: int,
    last: int,
    array: int,
    count: int,
    entry_size: int,
    entries: bytes,
    extra: bytes = b"",
) -> bytes:
    """A GPT header; ``extra`` follows the 92 bytes of the specification."""
    fields = struct.pack(
        "<QQQQ16sQIII", mine, other, first, last, DISK_GUID.bytes_le, array, count, entry_size, crc32(entries)
    )
    start = b"EFI PART" + struct.pack("<II", 0x00010000, 92 + len(extra))
    crc = crc32(start + bytes(8) + fields + extra)
    return start + struct.pack("<II", crc, 0) + fields + extra


def gpt_disk(
    sectors: int,
    parts: Sequence[Part] = (),
    *,
    sector_size: int = 512,
    count: int = 128,
    entry_size: int = 128,
    boot_code: bytes = b"",
    entries_in_mbr: Sequence[tuple[int, int, int, int]] | None = None,
    last: int | None = None,
    extra: bytes = b"",
) -> bytes:
    """A disk with both copies of a GPT; what no table covers is filled with 0xA5."""
    array = b"".join(
        struct.pack(
            "<16s16sQQQ72s",
            part.kind.bytes_le,
            part.guid.bytes_le,
            part.first,
            part.last,
            part.attributes,
            part.name.encode("utf-16-le"),
        ).ljust(entry_size, b"\xee")
        for part in parts
    ).ljust(count * entry_size, b"\0")
    array_sectors = -(-len(array) // sector_size)
    first_usable, last_lba = 2 + array_sectors, sectors - 1
    last_usable = last_lba - array_sectors - 1 if last is None else last
    common = {"first": first_usable, "last": last_usable, "count": count, "entry_size": entry_size}
    primary = header(mine=1, other=last_lba, array=2, entries=array, extra=extra, **common)
    at_end = last_lba - array_sectors
    backup = header(mine=last_lba, other=1, array=at_end, entries=array, extra=extra, **common)
    disk = bytearray(b"\xa5" * (sectors * sector_size))
    record = mbr(entries_in_mbr or [(0, 0xEE, 1, sectors - 1)], boot_code=boot_code, signature=0x12345678)
    for at, data in (
        (0, record.ljust(sector_size, b"\0")),
        (1, primary.ljust(sector_size, b"\0")),
        (2, array.ljust(array_sectors * sector_size, b"\0")),
        (at_end, array.ljust(array_sectors * sector_size, b"\0")),
        (last_lba, backup.ljust(sector_size, b"\0")),
    ):
        disk[at * sector_size : at * sector_size + len(data)] = data
    return bytes(disk)
