"""A config drive as a FAT12 or FAT16 image, for disks on which no 2048-byte-sector file system mounts.

Written here and not with mkfs.fat and mcopy: mcopy does not start where the C library's code page 850 is
missing, as in many small rescue systems, and user data would have to go through a file of its own.

Source: Microsoft Extensible Firmware Initiative FAT32 File System Specification 1.03 (2000): BPB (section
"Boot Sector and BPB Structure"), cluster counts ("FAT Type Determination"), "FAT Directory Structure" and
"Long Directory Entries". All counts on the disk are little-endian.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from configdrive import tree
from configdrive.errors import ConfigDriveError, unreadable
from partitioning.byte_access import BytesReader
from partitioning.fat import FatError, FatFileSystem

# As Nova's mkfs gets it: cloud-init takes either case, while by-label/config-2 is what scripts mount.
LABEL = "config-2"

_FATS = 2
_RESERVED_SECTORS = 1
_ENTRY = 32
_ROOT_ENTRIES = 512
_FIRST_CLUSTER = 2

_LEAST_FAT16_CLUSTERS = 4085
_MOST_FAT16_CLUSTERS = 65524
# The specification warns that many drivers are off by some around the limit: stay 16 away from it.
_GREY_ZONE = 16
_MOST_SECTORS_PER_CLUSTER = 128

_DIRECTORY = 0x10
_ARCHIVE = 0x20
_VOLUME_LABEL = 0x08
_LONG_NAME = 0x0F
_LAST_LONG_ENTRY = 0x40
_LONG_NAME_PIECE = 13
# 1980-01-01, the first day there is: the same files always give the same image.
_DATE = 0x0021

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class _Geometry:
    """Where things stand, in sectors from the start of the file system."""

    sector_size: int
    sectors_per_cluster: int
    fat_sectors: int
    clusters: int

    @property
    def bits(self) -> int:
        return 12 if self.clusters < _LEAST_FAT16_CLUSTERS else 16

    @property
    def cluster_size(self) -> int:
        return self.sectors_per_cluster * self.sector_size

    @property
    def root_sector(self) -> int:
        return _RESERVED_SECTORS + _FATS * self.fat_sectors

    @property
    def data_sector(self) -> int:
        return self.root_sector + _ROOT_ENTRIES * _ENTRY // self.sector_size

    @property
    def sectors(self) -> int:
        return self.data_sector + self.clusters * self.sectors_per_cluster

    def needs(self, length: int) -> int:
        return -(-length // self.cluster_size)


def fat_size(files: Mapping[str, bytes], sector_size: int) -> int:
    """Give the smallest size in bytes, in whole MiBs, of an image that carries ``files``."""
    size = max(_MIB, sum(map(len, files.values())) // _MIB * _MIB)
    while not _fits(files, _geometry(sector_size, size)):
        size += _MIB
    return size


def build_fat(files: Mapping[str, bytes], sector_size: int, size: int) -> bytes:
    """Give an image of ``size`` bytes that carries ``files``, for a logical sector size of 512 to 4096 bytes.

    The same arguments always give the same image. Raises ConfigDriveError when ``files`` do not fit or
    have a path that cannot stand on a ConfigDrive.
    """
    geometry = _geometry(sector_size, size)
    if not _fits(files, geometry):
        raise ConfigDriveError(
            "The ConfigDrive is too small for what it has to carry.",
            detail=f"{sum(map(len, files.values()))} bytes of files do not fit a FAT of {size} bytes.",
            hint="Make the user data smaller, for example by fetching parts of it at first boot.",
        )
    image = bytearray(size)
    image[: geometry.sector_size] = _boot_sector(geometry, _serial(files))
    chains = _write_contents(image, geometry, files)
    fat = _fat(geometry, chains).ljust(geometry.fat_sectors * sector_size, b"\0")
    start = _RESERVED_SECTORS * sector_size
    image[start : start + _FATS * len(fat)] = fat * _FATS
    return bytes(image)


def read_fat(image: bytes) -> dict[str, bytes]:
    """Give the files of a FAT image by path, as the reader for ESPs sees them.

    Raises ConfigDriveError when it cannot be read.
    """
    try:
        return dict(_walk(FatFileSystem(BytesReader(image)), tree.ROOT, len(image)))
    except FatError as error:
        raise unreadable(f"It cannot be parsed as FAT: {error.detail}") from None


def _walk(volume: FatFileSystem, folder: str, limit: int) -> Iterator[tuple[str, bytes]]:
    for entry in volume.list(folder):
        path = f"{folder}/{entry.name}".lstrip("/")
        if entry.is_directory:
            yield from _walk(volume, path, limit)
        else:
            yield path, volume.read(path, limit)


def _geometry(sector_size: int, size: int) -> _Geometry:
    """Lay out a file system in ``size`` bytes with the smallest clusters that FAT16 can count."""
    per_cluster = 1
    while (geometry := _laid_out(sector_size, size, per_cluster)).clusters > _MOST_FAT16_CLUSTERS:
        per_cluster *= 2
    if per_cluster > _MOST_SECTORS_PER_CLUSTER or geometry.clusters < 1:
        raise ConfigDriveError(
            "The ConfigDrive cannot have the size it would need.",
            detail=f"FAT16 with sectors of {sector_size} bytes has no form for {size} bytes.",
            hint="Make the user data smaller, for example by fetching parts of it at first boot.",
        )
    return geometry


def _laid_out(sector_size: int, size: int, per_cluster: int) -> _Geometry:
    sectors = size // sector_size
    # Counted as FAT16 over all sectors: a little more than a FAT12 needs, which is allowed.
    fat_sectors = -(-(sectors // per_cluster + _FIRST_CLUSTER) * 2 // sector_size)
    empty = _Geometry(sector_size, per_cluster, fat_sectors, 0)
    clusters = (sectors - empty.data_sector) // per_cluster
    if abs(clusters - _LEAST_FAT16_CLUSTERS) <= _GREY_ZONE:
        clusters = _LEAST_FAT16_CLUSTERS - _GREY_ZONE - 1
    return _Geometry(sector_size, per_cluster, fat_sectors, clusters)


def _fits(files: Mapping[str, bytes], geometry: _Geometry) -> bool:
    sizes = _directory_sizes(files)
    in_root = sizes.pop(tree.ROOT)
    needed = sum(map(geometry.needs, [*sizes.values(), *map(len, files.values())]))
    return needed <= geometry.clusters and in_root <= _ROOT_ENTRIES * _ENTRY


def _directory_sizes(files: Mapping[str, bytes]) -> dict[str, int]:
    # The label in the root, "." and ".." elsewhere; two are counted for either.
    return {
        folder: _ENTRY * (2 + sum(1 + _long_entries(entry.name) for entry in held))
        for folder, held in tree.entries(files).items()
    }


def _long_entries(name: str) -> int:
    return -(-len(name) // _LONG_NAME_PIECE)


def _serial(files: Mapping[str, bytes]) -> int:
    serial = 0
    for path in sorted(files):
        serial = zlib.crc32(files[path], zlib.crc32(path.encode(), serial))
    return serial


def _boot_sector(geometry: _Geometry, serial: int) -> bytes:
    small = geometry.sectors < 1 << 16
    bpb = struct.pack(
        "<3s8sHBHBHHBHHHII",
        b"\xeb\x3c\x90",
        b"MSWIN4.1",
        geometry.sector_size,
        geometry.sectors_per_cluster,
        _RESERVED_SECTORS,
        _FATS,
        _ROOT_ENTRIES,
        geometry.sectors if small else 0,
        0xF8,
        geometry.fat_sectors,
        63,
        255,
        0,
        0 if small else geometry.sectors,
    )
    kind = f"FAT{geometry.bits}".encode()
    extended = struct.pack("<BBBI11s8s", 0x80, 0, 0x29, serial, _label(), kind.ljust(8))
    return (bpb + extended).ljust(510, b"\0") + b"\x55\xaa" + bytes(geometry.sector_size - 512)


def _label() -> bytes:
    return LABEL.encode("ascii").ljust(11)


@dataclass(frozen=True, slots=True)
class _Chain:
    """Clusters that follow one another; ``first`` is 0 for an empty file."""

    first: int
    count: int


def _allocate(geometry: _Geometry, files: Mapping[str, bytes]) -> dict[str, _Chain]:
    lengths = _directory_sizes(files) | {path: len(files[path]) for path in sorted(files)}
    del lengths[tree.ROOT]
    chains = {tree.ROOT: _Chain(0, 0)}
    free = _FIRST_CLUSTER
    for path, length in lengths.items():
        count = geometry.needs(length)
        chains[path] = _Chain(free if count else 0, count)
        free += count
    return chains


def _write_contents(image: bytearray, geometry: _Geometry, files: Mapping[str, bytes]) -> list[_Chain]:
    """Put the directories and the files into ``image`` and tell which clusters they got."""
    chains = _allocate(geometry, files)
    contents = dict(files)
    for folder, held in tree.entries(files).items():
        start = _root_label() if folder == tree.ROOT else _dots(folder, chains)
        contents[folder] = start + _directory(held, chains, files)
    for path, content in contents.items():
        cluster = chains[path].first
        sector = geometry.data_sector + (cluster - _FIRST_CLUSTER) * geometry.sectors_per_cluster
        offset = (geometry.root_sector if path == tree.ROOT else sector) * geometry.sector_size
        if content:
            image[offset : offset + len(content)] = content
    return [chain for chain in chains.values() if chain.count]


def _root_label() -> bytes:
    return _short_entry(_label(), _VOLUME_LABEL, 0, 0)


def _dots(folder: str, chains: Mapping[str, _Chain]) -> bytes:
    # The root is cluster 0 in "..", which is what its chain says.
    parent = folder.rpartition("/")[0]
    own = _short_entry(b".".ljust(11), _DIRECTORY, chains[folder].first, 0)
    return own + _short_entry(b"..".ljust(11), _DIRECTORY, chains[parent].first, 0)


def _directory(held: list[tree.Entry], chains: Mapping[str, _Chain], files: Mapping[str, bytes]) -> bytes:
    out = bytearray()
    for number, entry in enumerate(held, start=1):
        short = _short_name(entry.name, number)
        out += b"".join(_long_name(entry.name, short))
        attribute = _DIRECTORY if entry.is_directory else _ARCHIVE
        length = 0 if entry.is_directory else len(files[entry.path])
        out += _short_entry(short, attribute, chains[entry.path].first, length)
    return bytes(out)


def _short_entry(name: bytes, attribute: int, cluster: int, length: int) -> bytes:
    return struct.pack(
        "<11sBBBHHHHHHHI", name, attribute, 0, 0, 0, _DATE, _DATE, 0, 0, _DATE, cluster, length
    )


def _short_name(name: str, number: int) -> bytes:
    """Give an 8.3 alias no other name in the directory has: ``number`` counts them."""
    stem, _, suffix = name.upper().rpartition(".") if "." in name else (name.upper(), "", "")
    tail = f"~{number}"
    stem = stem.replace(".", "")[: 8 - len(tail)] + tail
    return f"{stem:<8}{suffix[:3]:<3}".encode("ascii")


def _long_name(name: str, short: bytes) -> Iterator[bytes]:
    """Give the long name's entries in the order they have on the disk: the last piece first."""
    checksum = _checksum(short)
    for number in range(_long_entries(name), 0, -1):
        piece = name[(number - 1) * _LONG_NAME_PIECE : number * _LONG_NAME_PIECE].encode("utf-16-le")
        if len(piece) < 2 * _LONG_NAME_PIECE:
            piece = (piece + b"\0\0").ljust(2 * _LONG_NAME_PIECE, b"\xff")
        last = _LAST_LONG_ENTRY if number == _long_entries(name) else 0
        yield struct.pack(
            "<B10sBBB12sH4s",
            number | last,
            piece[:10],
            _LONG_NAME,
            0,
            checksum,
            piece[10:22],
            0,
            piece[22:],
        )


def _checksum(short: bytes) -> int:
    total = 0
    for byte in short:
        total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
    return total


def _fat(geometry: _Geometry, chains: list[_Chain]) -> bytes:
    end = (1 << geometry.bits) - 1
    # Entry 0 repeats the media byte; entry 1 says "cleanly unmounted, no errors".
    values = [end & ~0xFF | 0xF8, end]
    for chain in chains:
        values += [*range(chain.first + 1, chain.first + chain.count), end]
    return _packed12(values) if geometry.bits == 12 else struct.pack(f"<{len(values)}H", *values)


def _packed12(values: list[int]) -> bytes:
    packed = bytearray()
    for even, odd in zip(values[::2], [*values[1::2], 0], strict=False):
        packed += (even | odd << 12).to_bytes(3, "little")
    return bytes(packed)
