"""What the first bytes of a file tell, so that what is no image is not downloaded to its end."""

from agent.images.errors import BadFormat
from agent.images.magic import FileKind, has_boot_signature, is_tar, recognise
from agent.images.ova.beginning import disk_size_by
from agent.images.qcow2 import header as qcow2_header
from agent.request.model import ImageType


def check_first_bytes(first: bytes, image_type: ImageType) -> int | None:
    """Check what the first bytes of a file tell; give the virtual size in bytes where they tell it.

    Raises BadFormat when the file is not what ``image_type`` says, UnsafeImage when it may not be opened.
    """
    match image_type:
        case ImageType.QCOW2:
            header = qcow2_header.parse(first)
            qcow2_header.refuse_unsafe(header)
            return header.virtual_size
        case ImageType.RAW:
            _check_raw(first)
        case ImageType.OVA:
            if not is_tar(first):
                raise _other_kind(ImageType.OVA, recognise(first))
            return disk_size_by(first)
    return None


def _check_raw(first: bytes) -> None:
    if (kind := recognise(first)) is not None:
        raise _other_kind(ImageType.RAW, kind)
    if not has_boot_signature(first):
        raise BadFormat(
            "The first sector does not end in 55 AA, so this is no image of a disk with partitions.",
            hint="Publish the image of a whole disk with its partition table, not that of one partition.",
        )


def _other_kind(wanted: ImageType, kind: FileKind | None) -> BadFormat:
    if kind is None:
        return BadFormat(f"The type says {wanted}; the file is something else, of an unknown kind.")
    return BadFormat(f"The type says {wanted}; the file is {kind.name}.", hint=kind.hint)
