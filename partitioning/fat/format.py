"""What the reader and the writer of a FAT directory share: an entry's fields, its attributes, its times.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03.
"""

import struct
from dataclasses import dataclass

ENTRY = struct.Struct("<11sBBBHHHHHHHI")
"""Section 6.1: name, attributes, NT case bits, creation tenths, creation time and date, access date, high
half of the first cluster, write time and date, low half of the first cluster, size."""
ENTRY_SIZE = 32
DIRECTORY_LIMIT = 65536 * ENTRY_SIZE
"""Section 6: the bytes of the longest directory."""

READ_ONLY = 0x01
HIDDEN = 0x02
SYSTEM = 0x04
VOLUME_LABEL = 0x08
DIRECTORY = 0x10
ARCHIVE = 0x20
SETTABLE = READ_ONLY | HIDDEN | SYSTEM | ARCHIVE
"""The attributes a user can give; the others say what an entry is."""

LONG_NAME = 0x0F
LAST_LONG_ENTRY = 0x40
MOST_LONG_ENTRIES = 20

_FIRST_DAY = 0x0021  # 1980-01-01


@dataclass(frozen=True, slots=True, kw_only=True)
class FatTimes:
    """The times of an entry as they are coded there (sections 6.1 and 6.3), which knows no time zone.

    By default the first day there is: the same files always give the same image.
    """

    created_tenths: int = 0
    created_time: int = 0
    created_date: int = _FIRST_DAY
    accessed_date: int = _FIRST_DAY
    written_time: int = 0
    written_date: int = _FIRST_DAY


DEFAULT_TIMES = FatTimes()
