"""The entries of a FAT directory: short names, long names, the volume label.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

# Section 6.1: name, attributes, NT case bits, creation tenths, creation time and date, access date, high
# half of the first cluster, write time and date, low half of the first cluster, size.
_ENTRY = struct.Struct("<11sBBBHHHHHHHI")
_ENTRY_SIZE = 32
_DIRECTORY = 0x10
_VOLUME_LABEL = 0x08
_LONG_NAME = 0x0F
_LONG_NAME_MASK = 0x3F
_LAST_LONG = 0x40
_MAX_LONG_ENTRIES = 20
_FREE = 0xE5
_END = 0x00
_LOWER_BASE = 0x08
_LOWER_EXTENSION = 0x10


@dataclass(frozen=True, slots=True, kw_only=True)
class FatEntry:
    """A file or directory; ``size`` is bytes and 0 for a directory."""

    name: str
    short_name: str
    is_directory: bool
    size: int
    first_cluster: int

    def matches(self, name: str) -> bool:
        """Tell whether ``name`` is the long or the short name, whatever the case."""
        return name.casefold() in (self.name.casefold(), self.short_name.casefold())


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """The volume's label (section 6.4), which only the root directory has."""

    label: str


def parse_directory(raw: bytes) -> Iterator[FatEntry | LabelEntry]:
    """Go through a directory's bytes up to its end mark; free entries, ``.`` and ``..`` are left out."""
    long_name: list[bytes] = []
    for at in range(0, len(raw) - _ENTRY_SIZE + 1, _ENTRY_SIZE):
        entry = raw[at : at + _ENTRY_SIZE]
        if entry[0] == _END:
            return
        if entry[0] != _FREE and entry[11] & _LONG_NAME_MASK == _LONG_NAME:
            long_name = _collect_long(long_name, entry)
            continue
        found = _parse_entry(entry, long_name)
        long_name = []
        if found is not None:
            yield found


def _collect_long(collected: list[bytes], entry: bytes) -> list[bytes]:
    # Section 7: the parts stand before the short entry, the last part first.
    if entry[0] & _LAST_LONG:
        return [entry]
    if collected and len(collected) < _MAX_LONG_ENTRIES:
        return [*collected, entry]
    return []


def _parse_entry(entry: bytes, long_name: list[bytes]) -> FatEntry | LabelEntry | None:
    raw_name, attributes, case, _, _, _, _, high, _, _, low, size = _ENTRY.unpack(entry)
    if entry[0] == _FREE or entry[:2] in (b". ", b".."):
        return None
    if attributes & _VOLUME_LABEL:
        return LabelEntry(_decode(raw_name).rstrip(" \0"))
    short = _short_name(raw_name, case)
    is_directory = bool(attributes & _DIRECTORY)
    return FatEntry(
        name=_long_name(long_name, raw_name) or short,
        short_name=short,
        is_directory=is_directory,
        size=0 if is_directory else size,
        first_cluster=high << 16 | low,
    )


def _decode(raw: bytes) -> str:
    # Section 6.1: 0x05 stands for a first byte of 0xE5, which would mean a free entry.
    return (b"\xe5" + raw[1:] if raw[0] == 0x05 else raw).decode("cp437")


def _short_name(raw: bytes, case: int) -> str:
    whole = _decode(raw)
    base, extension = whole[:8].rstrip(" "), whole[8:].rstrip(" ")
    if case & _LOWER_BASE:
        base = base.lower()
    if case & _LOWER_EXTENSION:
        extension = extension.lower()
    return f"{base}.{extension}" if extension else base


def _long_name(parts: list[bytes], raw_name: bytes) -> str:
    """Put a long name together; nothing when its parts are not complete or belong to another entry."""
    if not parts or not _belong_together(parts, _checksum(raw_name)):
        return ""
    encoded = b"".join(part[1:11] + part[14:26] + part[28:32] for part in reversed(parts))
    return encoded.decode("utf-16-le", errors="replace").split("\0")[0]


def _belong_together(parts: list[bytes], checksum: int) -> bool:
    count = len(parts)
    orders = [part[0] & ~_LAST_LONG for part in parts]
    return orders == list(range(count, 0, -1)) and all(part[13] == checksum for part in parts)


def _checksum(raw_name: bytes) -> int:
    """Section 7.2: the checksum of the short name that each part of the long name carries."""
    total = 0
    for byte in raw_name:
        total = ((total >> 1) + ((total & 1) << 7) + byte) & 0xFF
    return total
