"""Where things are on a FAT file system: the boot sector, and the chain of clusters in the FAT itself.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03.
"""

import struct
from dataclasses import dataclass

from partitioning.byte_access import ByteReader
from partitioning.errors import DiskError
from partitioning.fat.names import decode_oem

# Section 3.1, from offset 11: bytes per sector, sectors per cluster, reserved sectors, number of FATs,
# root entries, total sectors (16 bits), media, FAT size (16 bits), sectors per track, heads, hidden sectors,
# total sectors (32 bits).
_BPB = struct.Struct("<HBHBHHBHHHII")
_BPB_OFFSET = 11
_BOOT_SECTOR_SIZE = 512

# Section 3.5: the type follows from the number of clusters and from nothing else.
_MAX_CLUSTERS_12 = 4084
_MAX_CLUSTERS_16 = 65524
_MAX_CLUSTERS_32 = 0x0FFFFFF5
_MAX_CLUSTER_SIZE = 256 << 10

_NO_LABEL = b"NO NAME    "


class FatError(DiskError):
    """It is not a FAT file system, or one that is damaged, or what was asked for is not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The places that follow from the boot sector; offsets and sizes are bytes."""

    bits: int
    cluster_size: int
    cluster_count: int
    fat_start: int
    fat_size: int
    root_start: int
    root_size: int
    root_cluster: int
    data_start: int
    label: str
    serial: int

    def offset_of(self, cluster: int) -> int:
        """Give the byte at which a cluster begins; the first has number 2. Raises FatError."""
        if not 2 <= cluster < self.cluster_count + 2:
            raise fat_error(f"There is no cluster {cluster}.")
        return self.data_start + (cluster - 2) * self.cluster_size


TAKE_OUT = "Take out of the file system what is not needed there."
_CHECK_IT = "Check the file system in the image with fsck.fat -n, and make it again if it is damaged."


def fat_error(detail: str, *, hint: str = _CHECK_IT) -> FatError:
    """Make the error for a FAT file system that can not be read."""
    return FatError(
        "The FAT file system can not be read.",
        detail=detail,
        hint=hint,
    )


def read_geometry(reader: ByteReader) -> Geometry:
    """Read and check the boot sector (section 3). Raises FatError."""
    if reader.size < _BOOT_SECTOR_SIZE:
        raise fat_error(f"{reader.size} bytes are too few for a file system.")
    boot = reader.pread(_BOOT_SECTOR_SIZE, 0)
    sector, per_cluster, reserved, fats, root_entries, total16, media, fat16, _, _, _, total32 = (
        _BPB.unpack_from(boot, _BPB_OFFSET)
    )
    _check_fields(boot, sector, per_cluster, reserved, fats, media)
    fat_sectors = fat16 or int.from_bytes(boot[36:40], "little")
    total = total16 or total32
    root_size = -(-root_entries * 32 // sector) * sector
    data_start = (reserved + fats * fat_sectors) * sector + root_size
    clusters = (total * sector - data_start) // (per_cluster * sector)
    bits = _bits(clusters, fat16=fat16, root_entries=root_entries)
    geometry = Geometry(
        bits=bits,
        cluster_size=per_cluster * sector,
        cluster_count=clusters,
        fat_start=reserved * sector,
        fat_size=fat_sectors * sector,
        root_start=data_start - root_size,
        root_size=root_size,
        root_cluster=int.from_bytes(boot[44:48], "little") if bits == 32 else 0,
        data_start=data_start,
        label=_boot_label(boot, 66 if bits == 32 else 38),
        serial=_boot_serial(boot, 66 if bits == 32 else 38),
    )
    _check_room(geometry, total * sector, reader.size)
    return geometry


def next_cluster(reader: ByteReader, geometry: Geometry, cluster: int) -> int | None:
    """Look up the cluster that follows, None after the last (section 4). Raises FatError for a bad one."""
    at, rest = divmod(cluster * geometry.bits, 8)
    length = 4 if geometry.bits == 32 else 2
    value = int.from_bytes(reader.pread(length, geometry.fat_start + at), "little")
    value = value >> rest & (0x0FFFFFFF if geometry.bits == 32 else (1 << geometry.bits) - 1)
    end = {12: 0xFF8, 16: 0xFFF8, 32: 0x0FFFFFF8}[geometry.bits]
    if value == end - 1:
        raise fat_error(f"The chain of clusters leads from {cluster} to one that is marked as bad.")
    return None if value >= end else value


def _check_fields(boot: bytes, sector: int, per_cluster: int, reserved: int, fats: int, media: int) -> None:
    """Sections 3.1 and 3.2: what every FAT has, and little else has by chance."""
    if boot[510:512] != b"\x55\xaa" or boot[0] not in (0xEB, 0xE9):
        raise fat_error("The first sector is not a FAT boot sector.")
    if sector not in (512, 1024, 2048, 4096):
        raise fat_error(f"A sector is said to have {sector} bytes.")
    if per_cluster == 0 or per_cluster & (per_cluster - 1) or per_cluster * sector > _MAX_CLUSTER_SIZE:
        raise fat_error(f"A cluster is said to have {per_cluster} sectors.")
    if reserved == 0 or fats not in (1, 2) or (media != 0xF0 and media < 0xF8):
        raise fat_error("The boot sector's fields contradict each other.")


def _bits(clusters: int, *, fat16: int, root_entries: int) -> int:
    if not 1 <= clusters <= _MAX_CLUSTERS_32:
        raise fat_error(f"The file system is said to have {clusters} clusters.")
    # Only FAT32 has no fixed root directory and no 16-bit FAT size (section 3.3). Some formatters make
    # small FAT32 file systems (mkfs.fat -F 32 does, for an ESP), and all drivers take them for FAT32.
    if fat16 == 0 and root_entries == 0:
        return 32
    if fat16 == 0 or root_entries == 0 or clusters > _MAX_CLUSTERS_16:
        raise fat_error("The boot sector is neither that of FAT32 nor that of FAT12 or FAT16.")
    return 12 if clusters <= _MAX_CLUSTERS_12 else 16


def _check_room(geometry: Geometry, total: int, size: int) -> None:
    if total > size:
        raise fat_error(f"It is said to have {total} bytes where there are {size}.")
    if (geometry.cluster_count + 2) * geometry.bits > geometry.fat_size * 8:
        raise fat_error("The FAT is too small for the number of clusters.")
    if geometry.bits == 32:
        geometry.offset_of(geometry.root_cluster)


def _boot_serial(boot: bytes, at: int) -> int:
    # Sections 3.2 and 3.3: signature 0x29 says that serial, label and type follow; 0x28 only the serial.
    return int.from_bytes(boot[at + 1 : at + 5], "little") if boot[at] in (0x28, 0x29) else 0


def _boot_label(boot: bytes, at: int) -> str:
    raw = boot[at + 5 : at + 16]
    if boot[at] != 0x29 or raw == _NO_LABEL:
        return ""
    # Some fill it up with zeros; and in the root directory a label that begins with one would end it.
    return decode_oem(raw).split("\0")[0].rstrip(" ")
