"""The documented messages, to the letter. Programs and people search for exactly these strings."""

STARTING = "starting"
DONE = "done"
ASKED = "Waiting for the disk's name, which deploy asks for on its terminal"

BAD_FORMAT = "Bad format image, expected : qcow2, raw."
BAD_CHECKSUM_TYPE = "Bad checkSumType, expected : sha1, sha256, md5."
CHECKSUM_PAIR = "Please provide checkSum AND checkSumType or none of them"
CAN_NOT_MOVE_GPT = "Can not move backup GPT data structures to the end of disk."
NOT_MADE_BOOTABLE = "Could not make the disk bootable."
NO_CONFIGDRIVE = "Could not create configdrive on disk."


def can_not_write(image_type: str) -> str:
    """Say that writing the image to the disk failed."""
    return f"Can't write {image_type} on disk."


def too_big_for_memory(image_type: str) -> str:
    """Say that the image has to be staged in RAM and does not fit."""
    return f"Could not download, {image_type} image is too big to download in memory."


def can_not_download(public_url: str) -> str:
    """Say that the download failed for good; the URL comes without user info and query."""
    return f"Could not download image located : {public_url}."


def bad_checksum(kind: str, *, actual: str, expected: str) -> str:
    """Say that the sum differs."""
    return f"Bad {kind} for downloaded file, got : {actual} while expecting {expected}."


def image_larger_than_disk(*, image_size: int, disk_size: int) -> str:
    """Say that the image's virtual size is larger than the disk (both in bytes)."""
    return f"image provided has a size of {image_size} bytes which is larger than device of {disk_size} bytes"
