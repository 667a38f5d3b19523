"""Writing the image. What goes into the held head stays in memory until all else is complete."""

from collections.abc import Callable, Iterator

from agent.effort import Effort
from agent.images.image import Image
from agent.images.inspect import require_fit
from agent.images.pieces import Piece
from agent.writing.flusher import Flusher
from agent.writing.pipeline import write_pieces
from agent.writing.written import Written
from partitioning.held_head import HeldHead
from partitioning.open_disk import OpenDisk

OnProgress = Callable[[int, int | None], None]
"""Gets the bytes done and the bytes in all, where they are known."""


def write_image(
    image: Image,
    disk: OpenDisk,
    held: HeldHead,
    on_progress: OnProgress,
    effort: Effort | None = None,
    written: Written | None = None,
) -> int:
    """Write all of the image, and give how many bytes it has on the disk. Flush the disk then.

    What it reads as zero is zero on the disk afterwards.

    ``held`` is the head held over ``disk``. The image's file is gone afterwards: memory is given back as the
    work goes on. ``effort`` is told where the time goes, and ``written`` takes note of everything, for
    ``compare``. Raises ImageLargerThanDisk where that turns out only now.
    """
    count = _Count(on_progress, image.virtual_size)
    with Flusher(disk) as flusher:

        def add(length: int) -> None:
            flusher.written(length)
            count.add(length)
            if written is not None and written.is_full:
                disk.flush()
                disk.drop_cache()
                written.compare_and_forget(held, path=disk.path)

        write_pieces(
            _fitting(image, disk), held, path=disk.path, on_written=add, effort=effort, witness=written
        )
    if image.virtual_size not in (None, count.done):
        raise RuntimeError("the pieces of an image are not all of it")
    return count.done


def _fitting(image: Image, disk: OpenDisk) -> Iterator[Piece]:
    length = 0
    for piece in image.pieces():
        length += piece.length
        require_fit(length, disk_size=disk.size, disk_path=str(disk.path), is_all=False)
        yield piece


def compare(size: int, disk: OpenDisk, held: HeldHead, on_progress: OnProgress, written: Written) -> None:
    """Read from the medium all ``size`` bytes that were written, and see whether they are there.

    Raises ContentsDiffer.
    """
    disk.drop_cache()
    count = _Count(on_progress, size, done=written.forgotten)
    written.compare(held, path=disk.path, on_compared=count.add)


class _Count:
    def __init__(self, on_progress: OnProgress, total: int | None, *, done: int = 0) -> None:
        self._on_progress = on_progress
        self._total = total
        self.done = done

    def add(self, length: int) -> None:
        self.done += length
        self._on_progress(self.done, self._total)
