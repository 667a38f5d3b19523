"""An EFI system partition that is made anew: a FAT32 file system with the loader's files in it.

UEFI specification 2.10, section 13.3: FAT32 on a fixed disk. FAT32 has at least 65,525 clusters, so its least
size grows with the disk's logical sector.
"""

import zlib
from collections.abc import Mapping

from partitioning.fat import writer as fat_writer
from partitioning.fat.writer import FatImage

LABEL = "EFI"

_MIB = 1 << 20
_SIZES = {512: 64 * _MIB, 4096: 300 * _MIB}


def build_esp(files: Mapping[str, bytes], *, sector_size: int) -> FatImage:
    """Make the file system for a disk with logical sectors of ``sector_size`` bytes. Raises NoRoom."""
    size = max(_SIZES.get(sector_size, 0), fat_writer.least_size(files, sector_size, bits=32))
    volume_id = 0
    for path in sorted(files):
        volume_id = zlib.crc32(files[path], zlib.crc32(path.encode(), volume_id))
    return fat_writer.build(
        files, sector_size=sector_size, size=size, label=LABEL, volume_id=volume_id, bits=32
    )
