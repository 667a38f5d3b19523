"""What is known of a deployment before all can be looked at that the plan depends on.

Where the image is written while it comes, what lies far back in its file is not there yet. The plan is made
from the disk then, after writing and before anything on it can boot.
"""

from dataclasses import dataclass

from agent.deployment.plan import require_room_for_table
from agent.deployment.target import Target
from agent.images.image import Image
from agent.images.inspect import read_image_table, require_fit
from partitioning.table import PartitionTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """The disk, the image, and its table as the disk will have it. ``made_for`` is as in Contents."""

    target: Target
    image: Image
    table: PartitionTable
    made_for: int


def make_outline(target: Target, image: Image) -> Outline:
    """Check what can be checked at the image's beginning. Raises ImageError, and Refused."""
    disk = target.disk
    require_fit(image.virtual_size, disk_size=disk.size, disk_path=str(disk.path))
    table, made_for = read_image_table(image, disk.sector_size)
    require_room_for_table(table, disk)
    return Outline(target=target, image=image, table=table, made_for=made_for)
