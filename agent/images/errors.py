"""What can be wrong with an image."""

from agent import messages
from agent.errors import Refused
from partitioning.errors import ExplainedError

LOOK_AT_URL = "Look at what the URL really delivers, and set type to the format of that file."
CONVERT = "Convert it (qemu-img convert -O qcow2 IMAGE NEW.qcow2) and publish the result."
PUBLISH_AGAIN = "Compare the file's size and sum with the original, and publish it again."


class ImageError(ExplainedError):
    """The image can not be deployed; nothing was written."""


class BadFormat(ImageError):
    """The file is not what the request's ``type`` says."""

    def __init__(self, detail: str, *, hint: str = LOOK_AT_URL) -> None:
        """Say in ``detail`` what the file is, or why it is not what it should be."""
        super().__init__(messages.BAD_FORMAT, detail=detail, hint=hint)


class UnsafeImage(ImageError):
    """The image refers to other files, is encrypted, or uses a feature that is not known."""


class ImageLargerThanDisk(ImageError):
    """The image's virtual size is larger than the disk."""

    def __init__(self, *, image_size: int, disk_size: int, disk_path: str, is_all: bool = True) -> None:
        """Both sizes are bytes; without ``is_all`` the image has more than ``image_size``, or may have."""
        what = (
            f"{image_size - disk_size} bytes are missing."
            if is_all
            else f"it has at least {image_size} bytes; what follows was not looked at."
        )
        super().__init__(
            messages.image_larger_than_disk(image_size=image_size, disk_size=disk_size),
            detail=f"The image does not fit on {disk_path}: {what}",
            hint="Choose a larger disk, or shrink the image (its partitions first) and publish it again.",
        )


class NotBootable(ImageError):
    """The server's firmware would not find anything to start on the disk."""


class NoUsableTable(ImageError):
    """The image has no partition table that can be worked with, or one for another kind of disk."""


class NotForSectorSize(ImageError):
    """Something in the image can not be used on a disk with logical sectors of this size."""


def not_while_it_comes(why: str) -> Refused:
    """Give the refusal of an image that has to be there as a whole; ``why`` is a sentence."""
    return Refused(
        "The image can not be written while it is downloaded.",
        detail=f"{why[0].upper()}{why[1:]}",
        hint="Let it be staged in memory (--staging memory) on a server with enough of it, or publish it as"
        " qcow2.",
    )


def unpacks_too_short(kind: str) -> BadFormat:
    """Give the error for a file in which something unpacks to less than it has to fill."""
    return BadFormat(f"The {kind} is damaged: packed data in it is too short.", hint=PUBLISH_AGAIN)


def cut_short(kind: str, size: int) -> BadFormat:
    """Give the error for a file (``kind``: "qcow2 file") of ``size`` bytes that ends before its data does."""
    return BadFormat(
        f"The {kind} was cut short: it ends after {size} bytes, within its data.", hint=PUBLISH_AGAIN
    )
