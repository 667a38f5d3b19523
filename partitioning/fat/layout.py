"""Where things go in a FAT file system that is made anew: its type, its clusters, the size of its tables.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from partitioning.errors import NoRoom
from partitioning.fat.format import ENTRY_SIZE

FATS = 2
FIRST_CLUSTER = 2
ROOT_ENTRIES = 512
"""Of FAT12 and FAT16, whose root directory has a fixed size."""

# Section 3.5: each type has fewer clusters than this. It warns that many drivers are off by some around the
# limits: stay 16 away from them.
_LIMITS = {12: 4085, 16: 65525, 32: 0x0FFFFFF5}
_GREY_ZONE = 16
_MOST_CLUSTER_SIZE = 32 << 10
_MOST_SECTORS = 1 << 32
# Section 3.1: FAT32 has its FSInfo and a second boot sector in there.
_RESERVED = {12: 1, 16: 1, 32: 32}


@dataclass(frozen=True, slots=True, kw_only=True)
class FatLayout:
    """Counts in sectors from the start of the file system, unless they say clusters or bytes."""

    bits: int
    sector_size: int
    sectors_per_cluster: int
    fat_sectors: int
    clusters: int

    @property
    def cluster_size(self) -> int:
        """Bytes."""
        return self.sectors_per_cluster * self.sector_size

    @property
    def reserved(self) -> int:
        """How many sectors come before the first FAT."""
        return _RESERVED[self.bits]

    @property
    def root_entries(self) -> int:
        """Entries of the fixed root directory; FAT32 has none, its root is a file like others."""
        return 0 if self.bits == 32 else ROOT_ENTRIES

    @property
    def root_sector(self) -> int:
        """Where the fixed root directory begins."""
        return self.reserved + FATS * self.fat_sectors

    @property
    def data_sector(self) -> int:
        """Where the first cluster, number 2, begins."""
        return self.root_sector + self.root_entries * ENTRY_SIZE // self.sector_size

    @property
    def sectors(self) -> int:
        """The whole file system."""
        return self.data_sector + self.clusters * self.sectors_per_cluster

    def offset_of(self, cluster: int) -> int:
        """Give the byte at which a cluster begins."""
        return (self.data_sector + (cluster - FIRST_CLUSTER) * self.sectors_per_cluster) * self.sector_size

    def needs(self, length: int) -> int:
        """Give how many clusters ``length`` bytes take."""
        return -(-length // self.cluster_size)


def lay_out(size: int, sector_size: int, *, bits: int | None = None) -> FatLayout:
    """Lay out a file system in ``size`` bytes for a disk with logical sectors of ``sector_size`` bytes.

    Without ``bits`` (12, 16, 32) it becomes FAT12 or FAT16, with the smallest clusters that can be counted.
    FAT32 gets the largest of at most 32 KiB that leave it enough of them. Raises NoRoom where ``size`` has no
    such form.
    """
    for layout in layouts(size, sector_size, bits=bits):
        return layout
    raise NoRoom(
        f"There is no FAT file system of {size} bytes.",
        detail=f"FAT{bits or '12 and 16'} with sectors of {sector_size} bytes has no form for that size.",
        hint="Give it more room.",
    )


def layouts(size: int, sector_size: int, *, bits: int | None = None) -> Iterator[FatLayout]:
    """Give every layout that ``lay_out`` can choose from, what it would choose first."""
    powers = [1 << power for power in range(8)]
    kinds = (12, 16) if bits is None else (bits,)
    for per_cluster in reversed(powers) if bits == 32 else powers:
        if bits == 32 and per_cluster * sector_size > _MOST_CLUSTER_SIZE:
            continue
        for kind in kinds:
            found = _with(size // sector_size, sector_size, per_cluster, kind)
            if _is_sound(found):
                yield found


def _with(sectors: int, sector_size: int, per_cluster: int, bits: int) -> FatLayout:
    # Counted over all sectors: a little more than is needed, which is allowed.
    fat_sectors = -(-(sectors // per_cluster + FIRST_CLUSTER) * bits // (8 * sector_size))
    empty = FatLayout(
        bits=bits,
        sector_size=sector_size,
        sectors_per_cluster=per_cluster,
        fat_sectors=fat_sectors,
        clusters=0,
    )
    clusters = (sectors - empty.data_sector) // per_cluster
    if abs(clusters - _LIMITS[bits]) <= _GREY_ZONE:
        clusters = _LIMITS[bits] - _GREY_ZONE - 1
    return replace(empty, clusters=clusters)


def _is_sound(layout: FatLayout) -> bool:
    least = {12: 1, 16: _LIMITS[12] + _GREY_ZONE, 32: _LIMITS[16] + _GREY_ZONE}[layout.bits]
    return least <= layout.clusters < _LIMITS[layout.bits] and layout.sectors < _MOST_SECTORS
