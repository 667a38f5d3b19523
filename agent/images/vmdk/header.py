"""The header of a VMDK file, and the reasons in it and in its descriptor to refuse it.

Source: VMware's "Virtual Disk Format 1.1", "Hosted Sparse Extent Header", "The Descriptor File" and
"Stream-Optimized Compressed Sparse Extents".
"""

import re
import struct
from dataclasses import dataclass
from enum import IntFlag

from agent.images.errors import CONVERT, BadFormat, UnsafeImage, cut_short
from agent.images.pieces import Incoming
from partitioning.byte_access import ByteReader

SECTOR = 512
FILE = "VMDK file"
MARKER_BYTES = 12
"""What stands before a grain's packed bytes: where it belongs, and how many they are."""

_MAGIC = b"KDMV"
_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
_AT_END = (1 << 64) - 1
# A stream-optimised file ends in the footer, which has a header's fields, and the marker of its end.
_FOOTER_FROM_END = 2 * SECTOR
_VERSIONS = (1, 2, 3)
_DEFLATE = 1
_MOST_CAPACITY = 1 << 60
_LEAST_GRAIN, _MOST_GRAIN = 4096, 4 << 20
_MOST_ENTRIES = 512
_MOST_DESCRIPTOR = 1 << 20
_QEMU_DESCRIPTOR = 20 * SECTOR
# Of blanks only: with line ends among them, a text of nothing else would take hours.
_PARENT = re.compile(rb'^[ \t]*parentCID[ \t]*=[ \t]*"?([0-9a-f]+)', re.MULTILINE | re.IGNORECASE)
_PARENT_NAME = re.compile(rb"^[ \t]*parentFileNameHint[ \t]*=", re.MULTILINE | re.IGNORECASE)
_NO_PARENT = b"ffffffff"


class Flag(IntFlag):
    """Flags of the header that matter for reading."""

    COMPRESSED = 1 << 16
    MARKERS = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class VmdkHeader:
    """What is needed to read the file. Sizes and offsets in bytes."""

    capacity: int
    grain_size: int
    directory: int
    """Where the grain directory is."""
    entries_per_table: int
    is_compressed: bool
    has_markers: bool
    """Whether each grain has a marker, by which it can be told where it belongs."""
    first_grain: int
    """Where the first grain is, or something else that has a marker."""

    @property
    def tables_come_last(self) -> bool:
        """Tell whether only the footer tells where the tables are."""
        return self.directory == _AT_END * SECTOR

    @property
    def table_span(self) -> int:
        """Bytes of the disk that one grain table maps."""
        return self.entries_per_table * self.grain_size


def is_vmdk(first: bytes) -> bool:
    """Tell whether the bytes begin like a VMDK file with a header."""
    return first.startswith(_MAGIC)


def read_header(file: ByteReader) -> VmdkHeader:
    """Read the header, or the footer that completes it. Raises BadFormat, and UnsafeImage."""
    fields = _Fields(_read(file, 0))
    _refuse_parent(file, fields)
    if fields.directory != _AT_END:
        return _header(fields)
    footer = _Fields(_read(file, file.size - _FOOTER_FROM_END))
    if footer.directory == _AT_END:
        raise damaged("its footer does not say where its tables are")
    if _geometry(_header(footer)) != _geometry(_header(fields)):
        raise damaged("its footer does not fit its header")
    return _header(footer)


def read_first_header(file: ByteReader) -> VmdkHeader:
    """Read the header of a file that is on its way; where its tables are it need not tell.

    Raises BadFormat, and UnsafeImage.
    """
    fields = _Fields(_read(file, 0))
    _refuse_parent(file, fields)
    return _header(fields)


def require_footer(header: VmdkHeader, file: Incoming, start: int) -> int:
    """Give where the footer at ``start`` says that the grain directory is (sectors).

    Raises BadFormat where it is of another disk, or not the last but for the end's marker.
    """
    footer = _header(_Fields(_read(file, start)))
    if _geometry(footer) != _geometry(header) or file.come(start + _FOOTER_FROM_END + 1) != (
        start + _FOOTER_FROM_END
    ):
        raise damaged("its footer does not fit its header")
    return footer.directory // SECTOR


def _geometry(header: VmdkHeader) -> tuple[int, ...]:
    return header.capacity, header.grain_size, header.entries_per_table, header.is_compressed


def _header(fields: "_Fields") -> VmdkHeader:
    return VmdkHeader(
        capacity=fields.capacity * SECTOR,
        grain_size=fields.grain * SECTOR,
        directory=fields.directory * SECTOR,
        entries_per_table=fields.entries,
        is_compressed=bool(fields.flags & Flag.COMPRESSED),
        has_markers=bool(fields.flags & Flag.MARKERS),
        first_grain=fields.overhead * SECTOR,
    )


class _Fields:
    """The fields as they stand in a header or a footer, in sectors."""

    def __init__(self, data: bytes) -> None:
        (
            magic,
            version,
            self.flags,
            self.capacity,
            self.grain,
            self.descriptor,
            self.descriptor_length,
            self.entries,
            _,
            self.directory,
            self.overhead,
            _,
            line_ends,
            compression,
        ) = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise cut_short(FILE, 0) if magic == bytes(4) else damaged("a header is missing")
        if version not in _VERSIONS:
            raise damaged(f"its version is {version}")
        if line_ends != b"\n \r\n":
            raise damaged("its line ends were changed on the way, as FTP does in text mode")
        if not 0 < self.capacity * SECTOR <= _MOST_CAPACITY:
            raise damaged(f"it names a size of {self.capacity} sectors")
        size = self.grain * SECTOR
        if size & (size - 1) or not _LEAST_GRAIN <= size <= _MOST_GRAIN:
            raise damaged(f"it names grains of {self.grain} sectors")
        if not 0 < self.entries <= _MOST_ENTRIES:
            raise damaged(f"it names {self.entries} grains for a table")
        if self.flags & Flag.COMPRESSED and compression != _DEFLATE:
            raise damaged(f"it names the compression {compression}")


def damaged(what: str) -> BadFormat:
    """Give the error for a file that can not be right."""
    return BadFormat(f"The VMDK file is damaged or of an unknown kind: {what}.", hint=CONVERT)


def _read(file: ByteReader, offset: int) -> bytes:
    try:
        return file.pread(SECTOR, offset)
    except EOFError as error:
        raise cut_short(FILE, file.size) from error


def _refuse_parent(file: ByteReader, fields: _Fields) -> None:
    length = fields.descriptor_length * SECTOR
    if length > _MOST_DESCRIPTOR:
        raise damaged(f"it names a descriptor of {length} bytes")
    try:
        # QEMU looks at the second place, whatever the header says.
        text = file.pread(length, fields.descriptor * SECTOR) + b"\n"
        text += file.pread(min(_QEMU_DESCRIPTOR, file.size - SECTOR), SECTOR)
    except EOFError as error:
        raise cut_short(FILE, file.size) from error
    parents = _PARENT.findall(text)
    if any(parent.lower() != _NO_PARENT for parent in parents) or _PARENT_NAME.search(text):
        raise UnsafeImage(
            "The image can not be used: its disk has a parent.",
            detail="The VMDK file holds only what differs from another disk, which is not there.",
            hint="Export the machine again without snapshots, or as a full clone.",
        )
