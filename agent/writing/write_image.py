"""Writing the image. What goes into the held head stays in memory until all else is complete."""

from collections.abc import Callable

from agent.images.image import Image
from agent.writing.flusher import Flusher
from agent.writing.pipeline import write_pieces
from agent.writing.written import Written
from partitioning.held_head import HeldHead
from partitioning.open_disk import OpenDisk

OnProgress = Callable[[int, int], None]
"""Gets the bytes done and the bytes in all."""


def write_image(
    image: Image, disk: OpenDisk, held: HeldHead, on_progress: OnProgress, written: Written | None = None
) -> None:
    """Write all of the image; what it reads as zero is zero on the disk afterwards. Flush the disk then.

    ``held`` is the head held over ``disk``. The image's file is gone afterwards: memory is given back as the
    work goes on. ``written`` takes note of everything, for ``compare``.
    """
    count = _Count(on_progress, image.virtual_size)
    with Flusher(disk) as flusher:

        def add(length: int) -> None:
            flusher.written(length)
            count.add(length)

        write_pieces(image.pieces(), held, path=disk.path, on_written=add, witness=written)
    if count.done != image.virtual_size:
        raise RuntimeError("the pieces of an image are not all of it")


def compare(image: Image, disk: OpenDisk, held: HeldHead, on_progress: OnProgress, written: Written) -> None:
    """Read from the medium all that was written, and see whether it is there. Raises ContentsDiffer."""
    disk.drop_cache()
    count = _Count(on_progress, image.virtual_size)
    written.compare(held, path=disk.path, on_compared=count.add)


class _Count:
    def __init__(self, on_progress: OnProgress, total: int) -> None:
        self._on_progress = on_progress
        self._total = total
        self.done = 0

    def add(self, length: int) -> None:
        self.done += length
        self._on_progress(self.done, self._total)
