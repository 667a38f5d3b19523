"""A small FAT file system made by hand, so that a test can break one field or one link of a chain."""

import struct
from bisect import bisect_right
from pathlib import Path

from partitioning.fat.writer import FatImage

SECTOR = 512
RESERVED, FATS = 1, 2
CHAIN_ENDS = {12: 0xFFF, 16: 0xFFFF, 32: 0x0FFFFFFF}

# Of ``sample``: how many clusters it has for each type, and what is in it.
COUNTS = {12: 100, 16: 5000, 32: 200}
LONG = "A rather long näme with 🚀.efi"
LOADER = bytes(range(256)) * 5


def short_entry(
    name: bytes, *, attributes: int = 0x20, cluster: int = 0, size: int = 0, case: int = 0
) -> bytes:
    """A directory entry; ``name`` is the 11 bytes of an 8.3 name."""
    return struct.pack(
        "<11sBBBHHHHHHHI", name, attributes, case, 0, 0, 0, 0, cluster >> 16, 0, 0, cluster & 0xFFFF, size
    )


def long_entries(name: str, short: bytes) -> bytes:
    """The entries of a long name that stand before its short one."""
    checksum = 0
    for byte in short:
        checksum = (((checksum & 1) << 7) + (checksum >> 1) + byte) % 256
    units = name.encode("utf-16-le")
    if len(units) % 26:
        units = (units + b"\0\0").ljust(-(-len(units) // 26) * 26, b"\xff")
    parts = [units[at : at + 26] for at in range(0, len(units), 26)]
    entries = []
    for order, part in reversed(list(enumerate(parts, start=1))):
        last = 0x40 if order == len(parts) else 0
        entries.append(
            bytes([order | last])
            + part[:10]
            + bytes([0x0F, 0, checksum])
            + part[10:22]
            + bytes(2)
            + part[22:]
        )
    return b"".join(entries)


def fat_image(
    bits: int,
    clusters: dict[int, bytes],
    chains: dict[int, int],
    *,
    count: int,
    root: bytes = b"",
    label: bytes = b"NO NAME    ",
) -> bytearray:
    """A file system of one sector a cluster: what the clusters hold, and which follows which.

    A cluster without a successor in ``chains`` is the last of its chain. FAT32 has its root in cluster 2.
    """
    fat_bytes = (count + 2) * bits // 8 + 1
    fat_sectors = -(-fat_bytes // SECTOR)
    root_entries = 0 if bits == 32 else 32
    data_start = RESERVED + FATS * fat_sectors + root_entries * 32 // SECTOR
    total = data_start + count
    boot = bytearray(SECTOR)
    boot[:3] = b"\xeb\x3c\x90"
    fat16 = 0 if bits == 32 else fat_sectors
    struct.pack_into(
        "<HBHBHHBHHHII", boot, 11, SECTOR, 1, RESERVED, FATS, root_entries, 0, 0xF8, fat16, 0, 0, 0, total
    )
    at = 66 if bits == 32 else 38
    if bits == 32:
        struct.pack_into("<IHHI", boot, 36, fat_sectors, 0, 0, 2)
    boot[at : at + 16] = b"\x29" + bytes.fromhex("cdab3412") + label
    boot[510:] = b"\x55\xaa"
    fat = _fat(bits, clusters, chains, fat_sectors * SECTOR)
    image = boot + fat * FATS + root.ljust(root_entries * 32, b"\0") + bytes(count * SECTOR)
    for cluster, data in clusters.items():
        place = (data_start + cluster - 2) * SECTOR
        image[place : place + len(data)] = data
    return image


def _fat(bits: int, clusters: dict[int, bytes], chains: dict[int, int], size: int) -> bytes:
    whole = 0
    links = dict.fromkeys(clusters, CHAIN_ENDS[bits]) | chains
    for cluster, following in links.items():
        whole |= following << cluster * bits
    return whole.to_bytes(size, "little")


def sample(
    bits: int, *, chains: dict[int, int] | None = None, root_extra: bytes = b"", **shape: bytes
) -> bytearray:
    """EFI/BOOT/BOOTX64.EFI in the clusters 10, 40, 11, some other files, and the label CONFIG-2."""
    root = (
        short_entry(b"CONFIG-2   ", attributes=0x08)
        + short_entry(b"\xe5LD     TXT", cluster=7, size=3)
        + short_entry(b"EFI        ", attributes=0x10, cluster=3)
        + short_entry(b"EMPTY   TXT")
        + short_entry(b"\x05LOWER  TXT", cluster=5, size=5, case=0x18)
        + long_entries(LONG, b"ARATHE~1EFI")
        + short_entry(b"ARATHE~1EFI", cluster=6, size=4)
        + root_extra
    )
    dots = short_entry(b".          ", attributes=0x10, cluster=3) + short_entry(
        b"..         ", attributes=0x10
    )
    boot = dots + short_entry(b"BOOTX64 EFI", cluster=10, size=len(LOADER))
    efi = dots + short_entry(b"BOOT       ", attributes=0x10, cluster=4)
    clusters = {
        3: efi,
        4: boot,
        5: b"lower",
        6: b"long",
        10: LOADER[:512],
        40: LOADER[512:1024],
        11: LOADER[1024:],
    }
    if bits == 32:
        clusters[2] = root
    links = {10: 40, 40: 11} | (chains or {})
    return fat_image(bits, clusters, links, count=COUNTS[bits], root=root, **shape)


class ImageReader:
    """A ByteReader over a file system that our own code made, without its zeros in memory."""

    def __init__(self, image: FatImage) -> None:
        self.size = image.size
        self._pieces = image.pieces
        self._starts = [offset for offset, _ in image.pieces]

    def pread(self, length: int, offset: int) -> bytes:
        if offset < 0 or length < 0 or offset + length > self.size:
            raise EOFError(f"{length} bytes at {offset}")
        found = bytearray(length)
        for start, piece in self._pieces[max(bisect_right(self._starts, offset) - 1, 0) :]:
            if start >= offset + length:
                break
            part = piece[max(offset - start, 0) : offset + length - start]
            at = max(start - offset, 0)
            found[at : at + len(part)] = part
        return bytes(found)


def write_fat(path: Path, image: FatImage) -> None:
    """Put a file system that our own code made into a file of its own."""
    with path.open("wb") as target:
        target.truncate(image.size)
        for offset, piece in image.pieces:
            target.seek(offset)
            target.write(piece)
