"""EFI programs: the headers of a PE/COFF image, as far as Secure Boot looks at them.

Microsoft's "PE Format" specification; section names in the text are its own. An image may be hostile: each
offset and size is checked against the file, and what contradicts itself is a PeMalformed.
"""

import re
import struct
from dataclasses import dataclass
from typing import Any

from partitioning.errors import ExplainedError

_DOS_MAGIC = b"MZ"
_PE_OFFSET_AT = 0x3C
_PE_MAGIC = b"PE\0\0"
# COFF file header: machine, sections, time, symbol table, symbols, size of the optional header, flags.
_COFF = struct.Struct("<HHIIIHH")
_OPTIONAL_MAGIC = struct.Struct("<H")
# By the optional header's magic: where its number of data directories stands. They follow it.
_DIRECTORY_COUNT_AT = {0x10B: 92, 0x20B: 108}
_HEADERS_SIZE_AT = 60
_CHECKSUM_AT = 64
_UINT32 = struct.Struct("<I")
_DIRECTORY = struct.Struct("<II")
_CERTIFICATE_TABLE = 4
# Name, virtual size and address, size of raw data, pointer to it; the rest is about relocations.
_SECTION = struct.Struct("<8sIIII16x")
_SYMBOL_SIZE = 18
_LONGEST_NAME = 64
_MOST_SECTIONS = 96
_LONG_NAME = re.compile(rb"/(\d{1,7})", re.ASCII)


class PeMalformed(ExplainedError):
    """The file is not an EFI program, or a broken one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section and its place in the file; all numbers are bytes."""

    name: str
    offset: int
    size: int
    virtual_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PeImage:
    """The fields that Secure Boot needs; offsets are in bytes from the start of the file.

    ``certificates_entry_at`` is where the headers tell the place of the certificate table; None where there
    is no room for that in them. ``certificates_size`` is 0 where the image has no such table.
    """

    data: bytes
    sections: tuple[Section, ...]
    headers_size: int
    checksum_at: int
    certificates_entry_at: int | None
    certificates_at: int
    certificates_size: int

    def section(self, *names: str) -> bytes | None:
        """Give the content of the first section that has one of these names, without its padding."""
        for found in self.sections:
            if found.name in names:
                size = min(found.size, found.virtual_size) if found.virtual_size else found.size
                return self.data[found.offset : found.offset + size]
        return None


def parse_pe(data: bytes) -> PeImage:
    """Read the headers of an EFI program. Raises PeMalformed."""
    if not data.startswith(_DOS_MAGIC):
        raise malformed("It does not begin with MZ.")
    pe = _uint32(data, _PE_OFFSET_AT)
    if data[pe : pe + len(_PE_MAGIC)] != _PE_MAGIC:
        raise malformed("It has no PE header.")
    coff = pe + len(_PE_MAGIC)
    _, section_count, _, symbols_at, symbols, optional_size, _ = _unpack(_COFF, data, coff)
    optional = coff + _COFF.size
    headers_size = _uint32(data, optional + _HEADERS_SIZE_AT)
    table_at = optional + optional_size
    strings_at = symbols_at + symbols * _SYMBOL_SIZE if symbols_at else None
    entry_at = _certificates_entry(data, optional)
    certificates_at, certificates_size = _unpack(_DIRECTORY, data, entry_at) if entry_at else (0, 0)
    image = PeImage(
        data=data,
        sections=_sections(data, table_at, section_count, strings_at),
        headers_size=headers_size,
        checksum_at=optional + _CHECKSUM_AT,
        certificates_entry_at=entry_at,
        certificates_at=certificates_at,
        certificates_size=certificates_size,
    )
    _check_bounds(image, table_at)
    return image


def malformed(detail: str) -> PeMalformed:
    """Make the error for a file that is not what an EFI program has to be."""
    return PeMalformed(
        "The file is not a valid EFI program.",
        detail=detail,
        hint="Use an image whose loader is intact; file(1) says what the file is.",
    )


def _certificates_entry(data: bytes, optional: int) -> int | None:
    (magic,) = _unpack(_OPTIONAL_MAGIC, data, optional)
    if magic not in _DIRECTORY_COUNT_AT:
        raise malformed(f"Its optional header is of the unknown kind {magic:#06x}.")
    count_at = optional + _DIRECTORY_COUNT_AT[magic]
    if _uint32(data, count_at) <= _CERTIFICATE_TABLE:
        return None
    return count_at + _UINT32.size + _CERTIFICATE_TABLE * _DIRECTORY.size


def _sections(data: bytes, at: int, count: int, strings_at: int | None) -> tuple[Section, ...]:
    if count > _MOST_SECTIONS:
        raise malformed(f"It has {count} sections; the loader of Windows allows {_MOST_SECTIONS}.")
    found = []
    for number in range(count):
        name, virtual_size, _, size, offset = _unpack(_SECTION, data, at + number * _SECTION.size)
        if size and offset + size > len(data):
            raise malformed(f"Section {number + 1} ends at byte {offset + size} of {len(data)}.")
        text = _name(data, name, strings_at)
        found.append(Section(name=text, offset=offset, size=size, virtual_size=virtual_size))
    return tuple(found)


def _name(data: bytes, field: bytes, strings_at: int | None) -> str:
    # "Section Table": a name of more than 8 bytes stands in the string table, behind the symbols.
    name = field.rstrip(b"\0")
    place = _LONG_NAME.fullmatch(name)
    if place and strings_at is not None:
        start = strings_at + int(place[1])
        name = data[start : start + _LONGEST_NAME].split(b"\0")[0]
    return name.decode("ascii", errors="replace")


def _check_bounds(image: PeImage, table_at: int) -> None:
    last_field = max(image.checksum_at + _UINT32.size, (image.certificates_entry_at or 0) + _DIRECTORY.size)
    if not max(last_field, table_at) <= image.headers_size <= len(image.data):
        raise malformed(f"Its headers can not end at byte {image.headers_size} of {len(image.data)}.")
    # Without this, sections that overlap could make a small file cost hours of hashing.
    hashed = image.headers_size + sum(section.size for section in image.sections)
    if hashed > len(image.data) - image.certificates_size:
        raise malformed("Its sections and certificates are larger than the file.")
    if image.certificates_size and image.certificates_at + image.certificates_size > len(image.data):
        raise malformed("Its certificate table lies beyond the end of the file.")


def _uint32(data: bytes, at: int) -> int:
    (value,) = _unpack(_UINT32, data, at)
    return int(value)


def _unpack(fields: struct.Struct, data: bytes, at: int) -> tuple[Any, ...]:
    if at + fields.size > len(data):
        raise malformed(f"Its headers need bytes beyond its end at {len(data)}.")
    return fields.unpack_from(data, at)
