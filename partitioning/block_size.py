"""On which disks a file system can be used: none is read in pieces smaller than the disk's logical sectors.

The smallest piece a file system is addressed by is written in its superblock. A disk with larger sectors can
not give it, and Linux does not mount the file system there; on one with smaller sectors it does. FAT goes
both ways: firmware wants the disk's own sector size in it, and what was made for another is made again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from partitioning.byte_access import ByteReader
from partitioning.signature_fields import read_or_nothing
from partitioning.signatures import identify, swap_page_size

_FAT = "vfat"
_SMALLEST, _LARGEST = 512, 64 << 10
# ECMA-119 section 6.1.2: volume descriptors are in logical sectors of this size.
_ISO_SECTOR = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystemBlocks:
    """The smallest unit a file system is addressed by: ``size`` bytes, which the format calls ``unit``.

    It is the largest logical sector size on which Linux can mount it. ``type`` is as blkid calls it.
    """

    type: str
    size: int
    unit: str

    @property
    def is_fat(self) -> bool:
        """Whether it is FAT12, FAT16 or FAT32."""
        return self.type == _FAT


def block_size(reader: ByteReader) -> FileSystemBlocks | None:
    """Tell the smallest unit of the file system ``reader`` begins with.

    None when nothing known stands there, or something whose superblock does not say it: LVM, LUKS, RAID.
    What can not be read counts as nothing.
    """
    found = identify(reader)
    if found is None or found.type not in _UNITS:
        return None
    unit, size_of = _UNITS[found.type]
    size = size_of(reader)
    if not _SMALLEST <= size <= _LARGEST or size & (size - 1):
        return None
    return FileSystemBlocks(type=found.type, size=size, unit=unit)


def unusable_on(reader: ByteReader, sector_size: int) -> str | None:
    """Tell why a partition's file system can not be used on a disk with such logical sectors (bytes).

    It is the part of a sentence that follows "Partition 2: ". None when it can be used, when nothing is
    known of it, and for FAT: see ``fat_of_other_size``.
    """
    blocks = block_size(reader)
    if blocks is None or blocks.is_fat or blocks.size >= sector_size:
        return None
    return (
        f"its {blocks.type} file system has {blocks.unit} of {blocks.size} bytes, "
        f"which can not be used on a disk with sectors of {sector_size} bytes."
    )


def fat_of_other_size(reader: ByteReader, sector_size: int) -> int | None:
    """Give the sector size (bytes) of a FAT made for another one than ``sector_size``; None for all else."""
    blocks = block_size(reader)
    if blocks is None or not blocks.is_fat or blocks.size == sector_size:
        return None
    return blocks.size


def _little(offset: int, length: int) -> Callable[[ByteReader], int]:
    return lambda reader: int.from_bytes(read_or_nothing(reader, offset, length), "little")


def _ext(reader: ByteReader) -> int:
    """ext4.h, s_log_block_size: 1024 shifted by so many bits."""
    return _shifted(10 + _little(1024 + 24, 4)(reader))


def _xfs(reader: ByteReader) -> int:
    """XFS Algorithms & Data Structures, Superblocks: sb_sectsize."""
    return int.from_bytes(read_or_nothing(reader, 102, 2))


def _exfat(reader: ByteReader) -> int:
    """Microsoft's "exFAT file system specification", section 3.1.14: BytesPerSectorShift."""
    return _shifted(_little(108, 1)(reader))


def _f2fs(reader: ByteReader) -> int:
    """f2fs_fs.h, log_blocksize; sectors may be smaller, but nothing is read by them."""
    return _shifted(_little(1024 + 16, 4)(reader))


def _shifted(bits: int) -> int:
    # A superblock may say any number; none of these formats goes further.
    return 1 << bits if bits <= _LARGEST.bit_length() else 0


_EXT_BLOCKS = ("blocks", _ext)

# FAT: section 3.1 of the FAT32 File System Specification, version 1.03; NTFS has the field in the same place.
# Btrfs: ctree.h, struct btrfs_super_block, sectorsize.
_UNITS: dict[str, tuple[str, Callable[[ByteReader], int]]] = {
    "ext2": _EXT_BLOCKS,
    "ext3": _EXT_BLOCKS,
    "ext4": _EXT_BLOCKS,
    "jbd": _EXT_BLOCKS,
    "xfs": ("sectors", _xfs),
    "btrfs": ("sectors", _little((64 << 10) + 144, 4)),
    "f2fs": ("blocks", _f2fs),
    _FAT: ("sectors", _little(11, 2)),
    "exfat": ("sectors", _exfat),
    "ntfs": ("sectors", _little(11, 2)),
    "iso9660": ("sectors", lambda _reader: _ISO_SECTOR),
    "swap": ("pages", lambda reader: swap_page_size(reader) or 0),
}
