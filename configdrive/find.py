"""Telling whether a partition already carries a config drive.

Sources: ECMA-119, 8.4 (Primary Volume Descriptor) and the FAT specification (see fat_reader.py); cloud-init
looks for file systems with the label ``config-2`` or ``CONFIG-2`` (sources/DataSourceConfigDrive.py).
"""

from configdrive.fat_reader import read_label
from partitioning.byte_access import ByteReader

_LABEL = "config-2"

_SECTOR = 2048
_FIRST_DESCRIPTOR = 16
_DESCRIPTORS_READ = 4
_PRIMARY = b"\x01CD001"
_VOLUME_ID = slice(40, 72)


def is_config_drive(reader: ByteReader) -> bool:
    """Tell whether the file system in ``reader`` (a window on a partition) has the label ``config-2``.

    ISO 9660 and FAT are recognised, in upper or lower case. Less than 20 KiB are read, and anything that
    is not such a file system, a partition too small for one included, is simply not a config drive.
    Raises what ``reader`` raises when the disk cannot be read.
    """
    labels = (_iso_label(reader), read_label(reader))
    return any(label is not None and label.lower() == _LABEL for label in labels)


def _iso_label(reader: ByteReader) -> str | None:
    for number in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + _DESCRIPTORS_READ):
        if reader.size < (number + 1) * _SECTOR:
            return None
        head = reader.pread(_VOLUME_ID.stop, number * _SECTOR)
        if head.startswith(_PRIMARY):
            return head[_VOLUME_ID].decode("ascii", errors="replace").rstrip(" \0")
    return None
