"""Superblocks made by hand: what has to stand where for a device to be taken for this or that."""

import struct
from uuid import UUID
from zlib import crc32

from partitioning.signatures import FileSystem
from tests.fat_samples import fat_image

SIZE = 4 << 20
ID = UUID("01234567-89ab-cdef-0123-456789abcdef")
RAW = ID.bytes


def _device(*pieces: tuple[int, bytes], size: int = SIZE) -> bytes:
    device = bytearray(size)
    for at, data in pieces:
        device[at : at + len(data)] = data
    return bytes(device)


def _ext(compat: int, incompat: int, ro_compat: int) -> bytes:
    features = b"".join(flags.to_bytes(4, "little") for flags in (compat, incompat, ro_compat))
    return _device(
        (1024, (16).to_bytes(4, "little") + (1024).to_bytes(4, "little")), (1024 + 56, b"\x53\xef"),
        (1024 + 76, b"\1"), (1024 + 92, features + RAW + b"root"),
    )  # fmt: skip


def _md(at: int) -> bytes:
    head = bytes.fromhex("fc4e2ba9") + (1).to_bytes(4, "little") + bytes(8) + RAW + b"host:0"
    return _device(
        (at, head),
        (at + 128, (at // 512).to_bytes(8, "little")),
        (at + 144, (at // 512).to_bytes(8, "little")),
    )


def _md_090(order: str) -> bytes:
    first, *rest = struct.unpack(">4I", RAW)
    words = struct.pack(f"{order}16I", 0xA92B4EFC, 0, 90, 0, 0, first, *[0] * 7, *rest)
    return _device((SIZE - (64 << 10), words))


def _xdr_pair(name: bytes, kind: int, value: bytes) -> bytes:
    body = len(name).to_bytes(4) + name + bytes(-len(name) % 4) + kind.to_bytes(4) + (1).to_bytes(4) + value
    return (len(body) + 8).to_bytes(4) + (len(body) + 16).to_bytes(4) + body


def _zfs(label: int) -> bytes:
    name = (4).to_bytes(4) + b"tank"
    pairs = (
        _xdr_pair(b"version", 8, (5000).to_bytes(8))
        + _xdr_pair(b"name", 9, name)
        + _xdr_pair(b"pool_guid", 8, (77).to_bytes(8))
    )
    uberblock = bytes.fromhex("0cb1ba0000000000") + (5000).to_bytes(8, "little") + (9).to_bytes(8, "little")
    ring = tuple((label + (128 << 10) + at * 1024, uberblock) for at in range(8))
    return _device((label + (16 << 10), b"\1\1\0\0" + bytes(4) + (1).to_bytes(4) + pairs), *ring)


_LVM_ID = b"abcdefghijklmnopqrstuvwxyz012345"
_LVM_TEXT = "abcdef-ghij-klmn-opqr-stuv-wxyz-012345"
# LVM's checksum begins with a number of its own and is not inverted at the end.
_LVM_BODY = (b"\x20\0\0\0LVM2 001" + _LVM_ID).ljust(492, b"\0")
_LVM_CRC = crc32(_LVM_BODY, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
_LVM = b"LABELONE" + (1).to_bytes(8, "little") + _LVM_CRC.to_bytes(4, "little") + _LVM_BODY

_ISO = (
    (32768, b"\x01CD001\x01\0" + b" " * 32 + b"config-2".ljust(32)),
    (32768 + 813, b"2024010203040506\0" + b"0" * 16 + b"\0"),
    (32768 + 2048, b"\xffCD001\x01"),
)
_NTFS = b"\xeb\x52\x90NTFS    " + bytes(61) + bytes.fromhex("efcdab8967452301")
_EXFAT = b"\xeb\x76\x90EXFAT   " + bytes(89) + bytes.fromhex("cdab3412")
_F2FS = (
    bytes.fromhex("1020f5f2")
    + struct.pack("<HHIIII", 1, 16, 9, 3, 12, 9)
    + bytes(84)
    + RAW
    + "flash".encode("utf-16-le")
)
_SWAP = bytes([1, 0, 0, 0]) + (255).to_bytes(4, "little") + bytes(4) + RAW + b"sw"
_BCACHE = (
    bytes(8) + (8).to_bytes(8, "little") + bytes(8) + bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81") + RAW
)


def _fs(kind: str, label: str = "", uuid: str = str(ID)) -> FileSystem:
    return FileSystem(type=kind, label=label, uuid=uuid)


SAMPLES: dict[str, tuple[bytes, FileSystem]] = {
    "ext2": (_ext(0, 0x2, 0x1), _fs("ext2", "root")),
    "ext3": (_ext(0x4, 0x2, 0x3), _fs("ext3", "root")),
    "ext4": (_ext(0x4, 0x42, 0x1), _fs("ext4", "root")),
    "ext4 by ro_compat": (_ext(0x4, 0x2, 0x401), _fs("ext4", "root")),
    "xfs": (_device((0, b"XFSB"), (32, RAW), (108, b"data")), _fs("xfs", "data")),
    "btrfs": (_device((65536 + 32, RAW), (65536 + 64, b"_BHRfS_M"), (65536 + 299, b"b")), _fs("btrfs", "b")),
    "f2fs": (_device((1024, _F2FS)), _fs("f2fs", "flash")),
    "swap": (_device((1024, _SWAP), (4086, b"SWAPSPACE2")), _fs("swap", "sw")),
    "swap, 64 KiB pages": (_device((1024, _SWAP), (65526, b"SWAPSPACE2")), _fs("swap", "sw")),
    "LUKS1": (_device((0, b"LUKS\xba\xbe\0\1aes"), (168, str(ID).encode())), _fs("crypto_LUKS")),
    "LUKS2": (
        _device((0, b"LUKS\xba\xbe\0\2"), (24, b"l"), (168, str(ID).encode())),
        _fs("crypto_LUKS", "l"),
    ),
    "LVM2": (_device((512, _LVM)), _fs("LVM2_member", uuid=_LVM_TEXT)),
    "md 0.90": (_md_090("<"), _fs("linux_raid_member")),
    "md 0.90, big-endian": (_md_090(">"), _fs("linux_raid_member")),
    "md 1.0": (_md(SIZE - 8192), _fs("linux_raid_member", "host:0")),
    "md 1.1": (_md(0), _fs("linux_raid_member", "host:0")),
    "md 1.2": (_md(4096), _fs("linux_raid_member", "host:0")),
    "zfs": (_zfs(0), _fs("zfs_member", "tank", "77")),
    "zfs, last label": (_zfs(SIZE - (256 << 10)), _fs("zfs_member", "tank", "77")),
    "bcache": (_device((4096, _BCACHE)), _fs("bcache")),
    "ntfs": (_device((0, _NTFS)), _fs("ntfs", uuid="0123456789ABCDEF")),
    "exfat": (_device((0, _EXFAT)), _fs("exfat", uuid="1234-ABCD")),
    "iso9660": (_device(*_ISO), _fs("iso9660", "config-2", "2024-01-02-03-04-05-06")),
    "vfat": (
        bytes(fat_image(16, {}, {}, count=5000, label=b"CONFIG-2   ")).ljust(SIZE, b"\0"),
        _fs("vfat", "CONFIG-2", "1234-ABCD"),
    ),
}
