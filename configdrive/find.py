"""Telling whether a partition already carries a config drive.

Source: cloud-init, sources/DataSourceConfigDrive.py (LABEL_TYPES and find_candidate_devs): it takes any file
system it can mount that has the label ``config-2`` or ``CONFIG-2``; ISO 9660 and FAT are the usual ones.
"""

from partitioning.byte_access import ByteReader
from partitioning.signatures import identify

_LABEL = "config-2"


def is_config_drive(reader: ByteReader) -> bool:
    """Tell whether the file system in ``reader`` (a window on a partition) has the label ``config-2``.

    Upper or lower case, whatever the kind of file system. A few KiB are read. Never fails: what is too
    small, or cannot be read, is not a config drive.
    """
    found = identify(reader)
    return found is not None and found.is_mountable and found.label.lower() == _LABEL
