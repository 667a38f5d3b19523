"""What an image is and what is in it, found out before anything is written. Nothing is mounted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.fetch.downloaded import FIRST_BYTES
from agent.fetch.spool import Spool
from agent.images import qemu_img
from agent.images.boot_fit import BootFit, boot_fit
from agent.images.errors import PUBLISH_AGAIN, BadFormat, ImageLargerThanDisk, NoUsableTable, UnsafeImage
from agent.images.image import Image, qcow2_image, raw_image
from agent.images.magic import has_boot_signature, recognise
from agent.images.partition_window import partition_window
from agent.images.qcow2 import header as qcow2_header
from agent.images.qcow2.tables import survey
from agent.images.sector_fit import fats_to_remake, require_mountable, table_for
from agent.request.model import ImageType
from configdrive.find import is_config_drive
from partitioning.command import CommandFailed, OutputTooLong
from partitioning.errors import TableUnusable
from partitioning.table import Partition, PartitionTable

_MOST_PARTITIONS = 128
"""How many partitions may be there, all of which are looked into; what anybody's tools make has no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What stands in an image: its table, what could start it, a ConfigDrive it brings along.

    ``table`` is as the disk will have it. ``made_for`` is the sector size (bytes) that the image's own counts
    in: where the disk's is another, the table is rewritten, and so are ``fats_of_other_sector_size``.
    """

    table: PartitionTable
    made_for: int
    fats_of_other_sector_size: tuple[Partition, ...] = ()
    boot: BootFit
    config_drive: Partition | None
    other_config_drives: tuple[Partition, ...] = ()
    """Further partitions with a ConfigDrive's label: one of these may win over the first at boot."""


def check_first_bytes(first: bytes, image_type: ImageType) -> int | None:
    """Check what the first bytes of a file tell; give the virtual size in bytes where they tell it.

    Raises BadFormat when the file is not what ``image_type`` says, UnsafeImage when it may not be opened.
    """
    if image_type is ImageType.QCOW2:
        header = qcow2_header.parse(first)
        qcow2_header.refuse_unsafe(header)
        return header.virtual_size
    if (kind := recognise(first)) is not None:
        raise BadFormat(f"The type says raw; the file is {kind.name}.", hint=kind.hint)
    if not has_boot_signature(first):
        raise BadFormat(
            "The first sector does not end in 55 AA, so this is no image of a disk with partitions.",
            hint="Publish the image of a whole disk with its partition table, not that of one partition.",
        )
    return None


def open_image(spool: Spool, image_type: ImageType) -> Image:
    """Check that the complete file in ``spool`` is a sound image of ``image_type``, and open it.

    Raises BadFormat or UnsafeImage.
    """
    first = spool.pread(min(spool.size, FIRST_BYTES), 0)
    check_first_bytes(first, image_type)
    if image_type is ImageType.RAW:
        # A last sector that is not complete is made so: the disk has whole sectors only.
        spool.append(bytes(-spool.size % 512))
        return raw_image(fd=spool.fd, file_size=spool.size, reader=spool)
    facts = _explained(lambda: qemu_img.info(image_type, spool.fd))
    if facts.get("backing-filename") or facts.get("encrypted"):
        raise UnsafeImage(
            "The image can not be used: it is not complete in itself.",
            detail="qemu-img finds a backing file or encryption in it.",
            hint="Flatten it: qemu-img convert -O qcow2 IMAGE FLAT.qcow2",
        )
    _refuse_damaged(_explained(lambda: qemu_img.check(image_type, spool.fd)))
    header = qcow2_header.parse(first)
    survey(header, spool)
    return qcow2_image(spool, header)


def require_fit(image_size: int, *, disk_size: int, disk_path: str) -> None:
    """Raise ImageLargerThanDisk when an image of ``image_size`` bytes does not fit."""
    if image_size > disk_size:
        raise ImageLargerThanDisk(image_size=image_size, disk_size=disk_size, disk_path=disk_path)


def look_inside(image: Image, sector_size: int, *, makes_config_drive: bool = True) -> Contents:
    """Read the table as a disk with ``sector_size`` will have it, and what stands in the partitions.

    ``makes_config_drive``: one is made, in the place of the image's own where it has one. Raises
    NoUsableTable, and NotForSectorSize.
    """
    try:
        table, made_for = table_for(image.reader, sector_size)
    except TableUnusable as error:
        raise NoUsableTable(
            "The image's partition table can not be used.",
            detail=f"{error.message} {error.detail}",
            hint=error.hint,
        ) from error
    _refuse_too_many(table)
    drives = _config_drives(image, table)
    replaced = drives[0] if drives and makes_config_drive else None
    require_mountable(image, table, made_for, ignoring=replaced)
    return Contents(
        table=table,
        made_for=made_for,
        fats_of_other_sector_size=fats_to_remake(image.reader, table, made_for),
        boot=boot_fit(image.reader, table),
        config_drive=drives[0] if drives else None,
        other_config_drives=drives[1:],
    )


def _refuse_too_many(table: PartitionTable) -> None:
    if len(table.partitions) > _MOST_PARTITIONS:
        raise NoUsableTable(
            "The image's partition table can not be used.",
            detail=f"It has {len(table.partitions)} partitions; {_MOST_PARTITIONS} are the most that are"
            " looked into.",
            hint="Make the image with fewer partitions.",
        )


def _config_drives(image: Image, table: PartitionTable) -> tuple[Partition, ...]:
    candidates = [part for part in table.partitions if not (part.is_extended or part.is_bios_boot)]
    return tuple(part for part in candidates if is_config_drive(partition_window(image.reader, part)))


def _explained(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return call()
    except CommandFailed as error:
        raise BadFormat(
            f"qemu-img can not read it: {error.stderr or error.detail}", hint=PUBLISH_AGAIN
        ) from error
    except OutputTooLong as error:
        raise BadFormat(f"qemu-img has too much to tell of it. {error.detail}", hint=PUBLISH_AGAIN) from error


def _refuse_damaged(report: dict[str, object]) -> None:
    # The reference counts show clusters that two places use, which the tables alone do not.
    corruptions = report.get("corruptions", 0)
    if corruptions or report.get("check-errors", 0):
        raise BadFormat(
            f"The qcow2 file is damaged or was cut short: qemu-img check finds {corruptions} bad clusters.",
            hint=PUBLISH_AGAIN,
        )
