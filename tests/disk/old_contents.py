"""Signatures of what may have been on a disk: made by the tools where they work on files, else by hand.

Each function writes into a store at an offset; ``size`` is that of the disk or partition it is for.
"""

import os
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

MIB = 1 << 20
KIB = 1 << 10

Maker = Callable[[int], dict[int, bytes]]
"""Size in bytes → pieces by offset."""


def _made_by(*argv: str) -> Maker:
    def make(size: int) -> dict[int, bytes]:
        with tempfile.NamedTemporaryFile() as file:
            os.truncate(file.name, size)
            subprocess.run([*argv, file.name], check=True, capture_output=True)
            return _data_of(Path(file.name))

    return make


def _data_of(path: Path) -> dict[int, bytes]:
    """Read what is not a hole."""
    pieces, offset = {}, 0
    with path.open("rb") as file:
        size = path.stat().st_size
        while offset < size:
            try:
                start = os.lseek(file.fileno(), offset, os.SEEK_DATA)
            except OSError:
                break
            offset = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            pieces[start] = os.pread(file.fileno(), offset - start, start)
    return pieces


def lvm(size: int) -> dict[int, bytes]:
    """An LVM2 label with a right checksum (lib/label/label.h)."""
    body = struct.pack("<I8s32s", 32, b"LVM2 001", b"Qyx0aBcDeFgHiJkLmNoPqRsTuVwXyZ01").ljust(492, b"\0")
    checksum = zlib.crc32(body, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    return {512: struct.pack("<8sQI", b"LABELONE", 1, checksum) + body}


def _md(offset: int, *, feature: int = 0) -> dict[int, bytes]:
    """An md superblock of format 1.x (linux/raid/md_p.h)."""
    block = bytearray(256)
    struct.pack_into("<IIII16s32s", block, 0, 0xA92B4EFC, 1, feature, 0, b"0123456789abcdef", b"host:0")
    struct.pack_into("<QIIQI", block, 72, 0, 1, 0, 2048, 0)
    struct.pack_into("<QQQQ", block, 128, 2048, 2048, offset // 512, 0)
    total = sum(struct.unpack("<64I", block))
    struct.pack_into("<I", block, 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    return {offset: bytes(block)}


def md_1_2(size: int) -> dict[int, bytes]:
    return _md(4 * KIB)


def md_1_1(size: int) -> dict[int, bytes]:
    return _md(0)


def md_1_0(size: int) -> dict[int, bytes]:
    return _md((size - 8 * KIB) // (4 * KIB) * (4 * KIB))


def md_0_90(size: int) -> dict[int, bytes]:
    block = bytearray(4 * KIB)
    struct.pack_into("<IIIIII", block, 0, 0xA92B4EFC, 0, 90, 0, 0, 0x12345678)
    return {size // (64 * KIB) * (64 * KIB) - 64 * KIB: bytes(block)}


def luks2(size: int) -> dict[int, bytes]:
    """Both LUKS2 headers, the second at 4 MiB, the farthest there is."""
    uuid = b"01234567-89ab-cdef-0123-456789abcdef"
    pieces = {}
    for magic, offset in ((b"LUKS\xba\xbe", 0), (b"SKUL\xba\xbe", 4 * MIB)):
        header = bytearray(4096)
        struct.pack_into(">6sHQQ", header, 0, magic, 2, 4 * MIB, 1)
        header[168 : 168 + len(uuid)] = uuid
        struct.pack_into(">Q", header, 256, offset)
        pieces[offset] = bytes(header)
    return pieces


def zfs(size: int) -> dict[int, bytes]:
    """The uberblocks of all four labels: two at the start, two at the end."""
    end = size // (256 * KIB) * (256 * KIB)
    starts = (0, 256 * KIB, end - 512 * KIB, end - 256 * KIB)
    uberblocks = b"".join(struct.pack("<QQ", 0x00BAB10C, 5000).ljust(KIB, b"\0") for _ in range(128))
    return {start + 128 * KIB: uberblocks for start in starts}


def iso9660(size: int) -> dict[int, bytes]:
    primary = b"\x01CD001\x01\0" + b"LINUX".ljust(32) + b"config-2".ljust(32)
    return {32 * KIB: primary.ljust(2048, b"\0"), 34 * KIB: b"\xffCD001\x01".ljust(2048, b"\0")}


CONTENTS: dict[str, Maker] = {
    "ext4": _made_by("mkfs.ext4", "-q", "-F"),
    "vfat": _made_by("mkfs.vfat"),
    "swap": _made_by("mkswap"),
    "lvm": lvm,
    "md 1.2": md_1_2,
    "md 1.1": md_1_1,
    "md 1.0": md_1_0,
    "md 0.90": md_0_90,
    "luks2": luks2,
    "zfs": zfs,
    "iso9660": iso9660,
}
