"""A FAT file system made anew: for another logical sector size, or with files added.

UEFI specification 2.10, section 13.3: FAT32 on a fixed disk. It has at least 65,525 clusters, which a small
partition does not have where sectors are large; firmware reads FAT16 and FAT12 as well.
"""

from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType

from partitioning.byte_access import ByteReader
from partitioning.fat.additions import with_files
from partitioning.fat.layout import layouts
from partitioning.fat.tree import FatTree, read_tree
from partitioning.fat.writer import FatImage, build_tree

_NOTHING: Mapping[str, bytes] = MappingProxyType({})


def rebuilt(
    reader: ByteReader, *, sector_size: int, size: int, limit: int, add: Mapping[str, bytes] = _NOTHING
) -> FatImage:
    """Read the file system that ``reader`` begins with, put ``add`` into it, and make it anew.

    ``limit`` is the most bytes of all contents together that are read. Raises FatError when the file system
    can not be read, or ``add`` can not be put into it (see ``with_files``), and NoRoom. The rest is as in
    ``made_anew``; to compare what was written, read it back and compare with the tree that went in.
    """
    return made_anew(with_files(read_tree(reader, limit=limit), add), sector_size=sector_size, size=size)


def made_anew(tree: FatTree, *, sector_size: int, size: int) -> FatImage:
    """Make a file system of ``size`` bytes for a disk with logical sectors of ``sector_size`` bytes.

    FAT32 where ``size`` has enough clusters for it and the files fit, with clusters as large as can be;
    otherwise FAT16 or FAT12. What ``read_tree`` reads from it equals ``tree``. Raises NoRoom when the files
    fit none of them.
    """
    forms = chain(layouts(size, sector_size, bits=32), layouts(size, sector_size))
    return build_tree(tree, size=size, forms=forms)
