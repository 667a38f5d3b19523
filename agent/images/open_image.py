"""Opening a file that is complete: whether it is a sound image of its type, and what reads it."""

from collections.abc import Callable
from typing import Any

from agent.fetch.downloaded import FIRST_BYTES
from agent.fetch.spool import Spool
from agent.images import qemu_img
from agent.images.errors import PUBLISH_AGAIN, BadFormat, UnsafeImage
from agent.images.first_bytes import check_first_bytes
from agent.images.image import Image, ova_image, qcow2_image, raw_image
from agent.images.ova.package import disk_in
from agent.images.qcow2 import header as qcow2_header
from agent.images.qcow2.tables import survey
from agent.request.model import ImageType
from partitioning.command import CommandFailed, OutputTooLong

_SECTOR = 512


def open_image(spool: Spool, image_type: ImageType) -> Image:
    """Check that the complete file in ``spool`` is a sound image of ``image_type``, and open it.

    Raises BadFormat or UnsafeImage.
    """
    first = spool.pread(min(spool.size, FIRST_BYTES), 0)
    check_first_bytes(first, image_type)
    match image_type:
        case ImageType.QCOW2:
            return _open_qcow2(spool, first)
        case ImageType.RAW:
            # A last sector that is not complete is made so: the disk has whole sectors only.
            spool.append(bytes(-spool.size % _SECTOR))
            return raw_image(fd=spool.fd, file_size=spool.size, reader=spool, held=spool.most_held)
        case ImageType.OVA:
            return ova_image(spool, disk_in(spool))


def _open_qcow2(spool: Spool, first: bytes) -> Image:
    facts = _explained(lambda: qemu_img.info(ImageType.QCOW2, spool.fd))
    if facts.get("backing-filename") or facts.get("encrypted"):
        raise UnsafeImage(
            "The image can not be used: it is not complete in itself.",
            detail="qemu-img finds a backing file or encryption in it.",
            hint="Flatten it: qemu-img convert -O qcow2 IMAGE FLAT.qcow2",
        )
    _refuse_damaged(_explained(lambda: qemu_img.check(ImageType.QCOW2, spool.fd)))
    header = qcow2_header.parse(first)
    survey(header, spool)
    return qcow2_image(spool, header)


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
