"""Putting a FAT file system that was made in memory into its place on a disk, and reading it back."""

from partitioning.byte_access import ByteReader
from partitioning.errors import ReadBackDiffers
from partitioning.fat.writer import FatImage
from partitioning.held_head import HeldHead


def write_fat(held: HeldHead, offset: int, image: FatImage) -> None:
    """Put the file system at ``offset`` (bytes); what was there before reads as zero.

    It may begin within the first MiB, which waits in memory. Raises DiskWriteError.
    """
    held.zero(offset, image.size)
    for position, piece in image.pieces:
        held.pwrite(piece, offset + position)


def verify_fat(store: ByteReader, offset: int, image: FatImage) -> None:
    """Read the file system at ``offset`` (bytes) back. Raises ReadBackDiffers.

    For the bytes to come from the medium, the caller has to flush and drop caches first.
    """
    for position, piece in image.pieces:
        if store.pread(len(piece), offset + position) != piece:
            raise ReadBackDiffers(
                "The FAT file system on the disk is not what was written.",
                detail=f"The {len(piece)} bytes from byte {offset + position} of the disk on differ.",
                hint="Check the disk (dmesg, smartctl), then deploy again; use another disk if that fails.",
            )
