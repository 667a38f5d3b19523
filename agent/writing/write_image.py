"""Writing the image in two parts: everything behind the first MiB now, the first MiB into memory.

What is in memory goes to the disk when all else is complete; see partitioning/held_head.py.
"""

from collections.abc import Callable

from agent.errors import ContentsDiffer
from agent.images import qemu_img
from agent.images.image import Image
from partitioning.held_head import HEAD_SIZE, HeldHead
from partitioning.open_disk import OpenDisk

OnProgress = Callable[[int, int], None]
"""Gets the bytes done and the bytes in all."""


def write_body(image: Image, disk: OpenDisk, on_progress: OnProgress) -> None:
    """Write the image from its second MiB on; what it reads as zero is zero on the disk afterwards."""
    length = image.virtual_size - HEAD_SIZE
    if length > 0:
        qemu_img.write_range(_body(image), _place(image, disk), lambda done: on_progress(done, length))


def hold_head(image: Image, held: HeldHead) -> None:
    """Put the image's first MiB where it waits for its turn."""
    held.pwrite(image.reader.pread(min(HEAD_SIZE, image.virtual_size), 0), 0)


def compare_body(image: Image, disk: OpenDisk, on_progress: OnProgress) -> None:
    """Read the disk from its second MiB on, from the medium, and compare it with the image.

    Raises ContentsDiffer.
    """
    length = image.virtual_size - HEAD_SIZE
    disk.drop_cache()
    if length > 0 and not qemu_img.same(
        _body(image), _place(image, disk), lambda done: on_progress(done, length)
    ):
        raise ContentsDiffer(
            f"What is read from {disk.path} is not what was written.",
            detail=f"The image and the disk differ within the {image.virtual_size} bytes of the image.",
            hint="The disk, its controller or the memory is faulty; use another disk.",
        )


def _body(image: Image) -> qemu_img.Source:
    return qemu_img.Source(
        format=image.type, fd=image.fd, offset=HEAD_SIZE, length=image.virtual_size - HEAD_SIZE
    )


def _place(image: Image, disk: OpenDisk) -> qemu_img.Target:
    return qemu_img.Target(
        fd=disk.fd,
        is_block_device=disk.is_block_device,
        offset=HEAD_SIZE,
        length=image.virtual_size - HEAD_SIZE,
    )
