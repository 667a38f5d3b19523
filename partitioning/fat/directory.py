"""The entries of a FAT directory: short names, long names, the volume label.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from partitioning.fat.format import (
    DIRECTORY,
    ENTRY,
    ENTRY_SIZE,
    LAST_LONG_ENTRY,
    LONG_NAME,
    MOST_LONG_ENTRIES,
    SETTABLE,
    VOLUME_LABEL,
    FatTimes,
)
from partitioning.fat.names import (
    LOWER_BASE,
    LOWER_EXTENSION,
    ShortName,
    decode_oem,
    folded,
    from_long_name_pieces,
)

_LONG_NAME_MASK = 0x3F
_FREE = 0xE5
_END = 0x00


@dataclass(frozen=True, slots=True, kw_only=True)
class FatEntry:
    """A file or directory; ``size`` is bytes and 0 for a directory. ``attributes`` are the settable ones."""

    name: str
    short: ShortName
    is_directory: bool
    size: int
    first_cluster: int
    attributes: int
    times: FatTimes

    @property
    def short_name(self) -> str:
        """The short name as it is shown."""
        return self.short.text

    @property
    def folded_names(self) -> tuple[str, str]:
        """The long and the short name as they are compared."""
        return folded(self.name), folded(self.short_name)

    def matches(self, name: str) -> bool:
        """Tell whether ``name`` is the long or the short name, whatever the case."""
        return folded(name) in self.folded_names


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """The volume's label (section 6.4), which only the root directory has."""

    label: str


def parse_directory(raw: bytes) -> Iterator[FatEntry | LabelEntry]:
    """Go through a directory's bytes up to its end mark; free entries, ``.`` and ``..`` are left out."""
    long_name: list[bytes] = []
    for at in range(0, len(raw) - ENTRY_SIZE + 1, ENTRY_SIZE):
        entry = raw[at : at + ENTRY_SIZE]
        if entry[0] == _END:
            return
        if entry[0] != _FREE and entry[11] & _LONG_NAME_MASK == LONG_NAME:
            long_name = _collect_long(long_name, entry)
            continue
        found = _parse_entry(entry, long_name)
        long_name = []
        if found is not None:
            yield found


def _collect_long(collected: list[bytes], entry: bytes) -> list[bytes]:
    # Section 7: the parts stand before the short entry, the last part first.
    if entry[0] & LAST_LONG_ENTRY:
        return [entry]
    if collected and len(collected) < MOST_LONG_ENTRIES:
        return [*collected, entry]
    return []


def _parse_entry(entry: bytes, long_name: list[bytes]) -> FatEntry | LabelEntry | None:
    if entry[0] == _FREE or entry[:2] in (b". ", b".."):
        return None
    raw_name, attributes, case, tenths, time, date, accessed, high, written, written_date, low, size = (
        ENTRY.unpack(entry)
    )
    if attributes & VOLUME_LABEL:
        return LabelEntry(decode_oem(raw_name).rstrip(" \0"))
    short = ShortName(raw=raw_name, case=case & (LOWER_BASE | LOWER_EXTENSION))
    is_directory = bool(attributes & DIRECTORY)
    return FatEntry(
        name=_long_name(long_name, short) or short.text,
        short=short,
        is_directory=is_directory,
        size=0 if is_directory else size,
        first_cluster=high << 16 | low,
        attributes=attributes & SETTABLE,
        times=FatTimes(
            created_tenths=tenths,
            created_time=time,
            created_date=date,
            accessed_date=accessed,
            written_time=written,
            written_date=written_date,
        ),
    )


def _long_name(parts: list[bytes], short: ShortName) -> str:
    """Put a long name together; nothing when its parts are not complete or belong to another entry."""
    if not parts or not _belong_together(parts, short.checksum):
        return ""
    return from_long_name_pieces([part[1:11] + part[14:26] + part[28:32] for part in reversed(parts)])


def _belong_together(parts: list[bytes], checksum: int) -> bool:
    count = len(parts)
    orders = [part[0] & ~LAST_LONG_ENTRY for part in parts]
    return orders == list(range(count, 0, -1)) and all(part[13] == checksum for part in parts)
