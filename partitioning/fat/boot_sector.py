"""The sectors before the FATs of a FAT file system that is made anew: boot sector and FSInfo.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03. All counts on the
disk are little-endian.
"""

import struct
from collections.abc import Iterator

from partitioning.fat.entries import label_bytes
from partitioning.fat.layout import FATS, FIRST_CLUSTER, FatLayout

_FSINFO_SECTOR = 1
_BACKUP_BOOT_SECTOR = 6
# Section 3.2: what stands there where there is no label.
_NO_LABEL = "NO NAME"
_UNKNOWN = 0xFFFFFFFF


def boot_sectors(
    layout: FatLayout, *, label: str | None, volume_id: int, used: int
) -> Iterator[tuple[int, bytes]]:
    """Give the sectors with the byte offsets they have; ``used`` counts the clusters that are not free."""
    boot = _boot_sector(layout, label, volume_id)
    yield 0, boot
    if layout.bits == 32:
        info = _fsinfo(layout, used)
        yield _FSINFO_SECTOR * layout.sector_size, info
        yield _BACKUP_BOOT_SECTOR * layout.sector_size, boot
        yield (_BACKUP_BOOT_SECTOR + _FSINFO_SECTOR) * layout.sector_size, info


def _boot_sector(layout: FatLayout, label: str | None, volume_id: int) -> bytes:
    wide = layout.bits == 32
    small = not wide and layout.sectors < 1 << 16
    bpb = struct.pack(
        "<3s8sHBHBHHBHHHII",
        b"\xeb\x58\x90" if wide else b"\xeb\x3c\x90",
        b"MSWIN4.1",
        layout.sector_size,
        layout.sectors_per_cluster,
        layout.reserved,
        FATS,
        layout.root_entries,
        layout.sectors if small else 0,
        0xF8,
        0 if wide else layout.fat_sectors,
        63,
        255,
        0,
        0 if small else layout.sectors,
    )
    if wide:
        # Section 3.3: FAT size, flags, version, root cluster, FSInfo, backup boot sector, reserved.
        bpb += struct.pack(
            "<IHHIHH12x", layout.fat_sectors, 0, 0, FIRST_CLUSTER, _FSINFO_SECTOR, _BACKUP_BOOT_SECTOR
        )
    kind = f"FAT{layout.bits}".encode().ljust(8)
    tail = struct.pack("<BBBI11s8s", 0x80, 0, 0x29, volume_id, label_bytes(label or _NO_LABEL), kind)
    return (bpb + tail).ljust(510, b"\0") + b"\x55\xaa"


def _fsinfo(layout: FatLayout, used: int) -> bytes:
    # Section 5: how many clusters are free, and where to look for one.
    free = layout.clusters - used
    counts = struct.pack("<4sII12xI", b"rrAa", free, FIRST_CLUSTER + used if free else _UNKNOWN, 0xAA550000)
    return b"RRaA" + bytes(480) + counts
