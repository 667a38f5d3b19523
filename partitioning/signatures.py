"""What stands on a device, told by the magic bytes at fixed places, as blkid tells it.

Only a few KiB are read. Offsets are those of the formats' own on-disk headers; libblkid (util-linux) has
them collected.
"""

import contextlib
from collections.abc import Callable

from partitioning.byte_access import ByteReader
from partitioning.errors import DiskError
from partitioning.fat.file_system import FatFileSystem
from partitioning.raid_signatures import bcache, lvm, md, zfs
from partitioning.signature_fields import FileSystem, read_or_nothing, text, uuid_text

__all__ = ["FileSystem", "identify", "swap_page_size"]

# ext2.h and ext4.h: features that tell ext3 and ext4 from what came before.
_EXT_JOURNAL = 0x4
_EXT_JOURNAL_DEVICE = 0x8
_EXT3_INCOMPAT = 0x2 | 0x4 | 0x10
_EXT3_RO_COMPAT = 0x1 | 0x2 | 0x4


def identify(reader: ByteReader) -> FileSystem | None:
    """Tell what stands on ``reader``; None when nothing known does.

    Never fails: what is too short or can not be read has no signature. Members of arrays and pools come
    first, as a mirror's half looks like the file system on it.
    """
    for check in _CHECKS:
        found = check(reader)
        if found is not None:
            return found
    return None


def _luks(reader: ByteReader) -> FileSystem | None:
    """LUKS1 and LUKS2 (LUKS2 On-Disk Format Specification 1.1, section 2.1; both keep the UUID at 168)."""
    block = read_or_nothing(reader, 0, 208)
    version = int.from_bytes(block[6:8])
    if block[:6] != b"LUKS\xba\xbe" or version not in (1, 2):
        return None
    label = text(block[24:72]) if version == 2 else ""
    return FileSystem(type="crypto_LUKS", label=label, uuid=text(block[168:208]))


def _iso9660(reader: ByteReader) -> FileSystem | None:
    """ISO 9660: the primary volume descriptor is sector 16 of 2048 bytes (ECMA-119, section 8.4)."""
    block = read_or_nothing(reader, 32 << 10, 1024)
    if block[:6] != b"\x01CD001":
        return None
    return FileSystem(
        type="iso9660", label=text(block[40:72]), uuid=_iso_date(block[830:847], block[813:830])
    )


def _iso_date(*stamps: bytes) -> str:
    # There is no UUID; blkid uses the modification date in its place, else the creation date.
    for stamp in stamps:
        digits = stamp[:16].decode("ascii", errors="replace")
        if digits.isdigit() and int(digits):
            return "-".join((digits[:4], *(digits[at : at + 2] for at in range(4, 16, 2))))
    return ""


def _vfat(reader: ByteReader) -> FileSystem | None:
    """FAT12, FAT16 and FAT32."""
    try:
        volume = FatFileSystem(reader)
    except (DiskError, OSError, EOFError):
        return None
    label = ""
    with contextlib.suppress(DiskError, OSError, EOFError):
        label = volume.label
    return FileSystem(type="vfat", label=label, uuid=_unless_zero(volume.volume_id))


def _ntfs(reader: ByteReader) -> FileSystem | None:
    block = read_or_nothing(reader, 0, 512)
    if block[3:11] != b"NTFS    ":
        return None
    return FileSystem(type="ntfs", uuid=_unless_zero(f"{int.from_bytes(block[72:80], 'little'):016X}"))


def _exfat(reader: ByteReader) -> FileSystem | None:
    block = read_or_nothing(reader, 0, 512)
    if block[3:11] != b"EXFAT   ":
        return None
    serial = f"{int.from_bytes(block[100:104], 'little'):08X}"
    return FileSystem(type="exfat", uuid=_unless_zero(f"{serial[:4]}-{serial[4:]}"))


def _unless_zero(serial: str) -> str:
    # As blkid does: one that was never set identifies nothing.
    return serial if set(serial) - set("0-") else ""


def _ext(reader: ByteReader) -> FileSystem | None:
    block = read_or_nothing(reader, 1024, 256)
    if block[56:58] != b"\x53\xef":
        return None
    return FileSystem(type=_ext_type(block), label=text(block[120:136]), uuid=uuid_text(block[104:120]))


def _ext_type(block: bytes) -> str:
    compat, incompat, ro_compat = (int.from_bytes(block[at : at + 4], "little") for at in (92, 96, 100))
    if incompat & _EXT_JOURNAL_DEVICE:
        return "jbd"
    if incompat & ~_EXT3_INCOMPAT or ro_compat & ~_EXT3_RO_COMPAT:
        return "ext4"
    return "ext3" if compat & _EXT_JOURNAL else "ext2"


def _xfs(reader: ByteReader) -> FileSystem | None:
    block = read_or_nothing(reader, 0, 128)
    if block[:4] != b"XFSB":
        return None
    return FileSystem(type="xfs", label=text(block[108:120]), uuid=uuid_text(block[32:48]))


def _btrfs(reader: ByteReader) -> FileSystem | None:
    block = read_or_nothing(reader, 64 << 10, 1024)
    if block[64:72] != b"_BHRfS_M":
        return None
    return FileSystem(type="btrfs", label=text(block[299:555]), uuid=uuid_text(block[32:48]))


def _f2fs(reader: ByteReader) -> FileSystem | None:
    """F2FS (f2fs_fs.h, struct f2fs_super_block); its label is UTF-16."""
    block = read_or_nothing(reader, 1024, 1148)
    if block[:4] != b"\x10\x20\xf5\xf2":
        return None
    label = block[124:1148].decode("utf-16-le", errors="replace").split("\0")[0]
    return FileSystem(type="f2fs", label=label, uuid=uuid_text(block[108:124]))


def _swap(reader: ByteReader) -> FileSystem | None:
    if swap_page_size(reader) is None:
        return None
    header = read_or_nothing(reader, 1024, 64)
    return FileSystem(type="swap", label=text(header[28:44]), uuid=uuid_text(header[12:28]))


def swap_page_size(reader: ByteReader) -> int | None:
    """Give the page size in bytes of the swap space on ``reader``; None when there is none."""
    # The magic ends the first page, whose size is that of the machine that made it.
    for page in (4 << 10, 8 << 10, 16 << 10, 64 << 10):
        if read_or_nothing(reader, page - 10, 10) == b"SWAPSPACE2":
            return page
    return None


_CHECKS: tuple[Callable[[ByteReader], FileSystem | None], ...] = (
    md,
    lvm,
    zfs,
    bcache,
    _luks,
    _btrfs,
    _xfs,
    _ext,
    _f2fs,
    _swap,
    _iso9660,
    _ntfs,
    _exfat,
    _vfat,
)
