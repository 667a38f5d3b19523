"""What is known of a deployment before all can be looked at that the plan depends on.

Where the image is written while it comes, what lies far back in its file is not there yet. The plan is made
from the disk then, after writing and before anything on it can boot.
"""

from dataclasses import dataclass

from agent.deployment.plan import require_by_beginning
from agent.deployment.target import Target
from agent.errors import Refused
from agent.images.image import Image
from agent.images.inspect import read_image_table, require_fit
from agent.request.model import Request
from partitioning.byte_access import NotThereYet
from partitioning.table import PartitionTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The disk, the image, and its table as the disk will have it. ``made_for`` is as in Contents."""

    target: Target
    image: Image
    table: PartitionTable
    made_for: int


def make_outline(request: Request, target: Target, image: Image) -> Outline:
    """Check what can be checked at the image's beginning. Raises ImageError, and Refused."""
    disk = target.disk
    if image.virtual_size is not None:
        require_fit(image.virtual_size, disk_size=disk.size, disk_path=str(disk.path))
    try:
        table, made_for = read_image_table(image, disk.sector_size)
    except NotThereYet as error:
        raise Refused(
            "The image can not be written while it is downloaded.",
            detail="Its partition table is not all at its beginning: it has logical partitions far behind.",
            hint="Let it be staged in memory (--staging memory), or make the image with a GPT.",
        ) from error
    require_by_beginning(request, target, image, table)
    return Outline(target=target, image=image, table=table, made_for=made_for)
