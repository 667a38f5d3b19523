"""The qcow2 header, and the reasons in it to refuse an image before any tool has opened it.

Source: QEMU's docs/interop/qcow2.txt, sections "Header" and "Header extensions". qemu-img itself would
follow a backing file or an external data file that a hostile header names, so this is looked at first.
"""

import struct
from dataclasses import dataclass
from enum import Enum, IntFlag

from agent.images.errors import CONVERT, PUBLISH_AGAIN, BadFormat, UnsafeImage
from agent.images.magic import has_boot_signature, is_qcow2, recognise

_V2_LENGTH = 72
_V3_LENGTH = 104
_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3 = struct.Struct(">QQQII")
_COMPRESSION_OFFSET = 104

_EXTENSION_END = 0
_EXTENSION_DATA_FILE = 0x44415441
_EXTENSION_ENCRYPTION = 0x0537BE77

_SECTOR = 512
_MAX_VIRTUAL_SIZE = 1 << 60
_MAX_L1_ENTRIES = (32 << 20) // 8
"""QEMU's own limit (block/qcow2.h, QCOW_MAX_L1_SIZE)."""
_MAX_SNAPSHOTS = 256
"""QEMU allows 65536, and then takes 570 MB to tell of them."""


class Incompatible(IntFlag):
    """Incompatible feature bits: a reader that does not know one must not read the image."""

    DIRTY = 1
    CORRUPT = 2
    EXTERNAL_DATA = 4
    COMPRESSION_TYPE = 8
    EXTENDED_L2 = 16


class Compression(Enum):
    """How compressed clusters are packed; the value is that of the header's field."""

    ZLIB = 0
    ZSTD = 1


_KNOWN = Incompatible.DIRTY | Incompatible.CORRUPT | Incompatible.EXTERNAL_DATA
_KNOWN |= Incompatible.COMPRESSION_TYPE | Incompatible.EXTENDED_L2


@dataclass(frozen=True, slots=True, kw_only=True)
class Qcow2Header:
    """The fields that matter before the image is opened. Sizes in bytes."""

    version: int
    cluster_bits: int
    virtual_size: int
    backing_file_offset: int
    encryption: int
    l1_size: int
    """Entries of the L1 table; they stand at ``l1_offset``."""
    l1_offset: int
    snapshots: int
    incompatible: int
    compression: Compression
    extensions: frozenset[int]

    @property
    def cluster_size(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits

    @property
    def has_subclusters(self) -> bool:
        """Tell whether L2 entries are extended ones, of 16 bytes."""
        return bool(self.incompatible & Incompatible.EXTENDED_L2)

    @property
    def table_span(self) -> int:
        """Bytes of the virtual disk that one L2 table maps."""
        entry = 16 if self.has_subclusters else 8
        return self.cluster_size // entry * self.cluster_size


def parse(first: bytes) -> Qcow2Header:
    """Read the header from an image's first bytes; BadFormat where there is none."""
    if not is_qcow2(first):
        raise _no_qcow2(first)
    if len(first) < _V2_LENGTH:
        raise _cut_short(first)
    fields = _V2.unpack_from(first)
    version, header_length, incompatible = fields[1], _V2_LENGTH, 0
    if version not in (2, 3):
        hint = CONVERT if version == 1 else PUBLISH_AGAIN
        raise BadFormat(f"The file is of qcow2 version {version}; versions 2 and 3 are known.", hint=hint)
    if version == 3:
        incompatible, header_length = _version_3(first)
    header = Qcow2Header(
        version=version,
        cluster_bits=fields[4],
        virtual_size=fields[5],
        backing_file_offset=fields[2],
        encryption=fields[6],
        l1_size=fields[7],
        l1_offset=fields[8],
        snapshots=fields[11],
        incompatible=incompatible,
        compression=_compression(first, header_length, incompatible),
        extensions=_extensions(first, header_length, 1 << min(fields[4], 21)),
    )
    _check_sane(header)
    return header


def _no_qcow2(first: bytes) -> BadFormat:
    kind = recognise(first)
    if kind is not None:
        return BadFormat(f"The type says qcow2; the file is {kind.name}.", hint=kind.hint)
    if has_boot_signature(first):
        return BadFormat("The type says qcow2; the file begins like a raw image.", hint="Set type to raw.")
    return BadFormat("The type says qcow2; the file is something else, of an unknown kind.")


def _cut_short(first: bytes) -> BadFormat:
    return BadFormat(f"The file ends within the qcow2 header, after {len(first)} bytes.", hint=PUBLISH_AGAIN)


def refuse_unsafe(header: Qcow2Header) -> None:
    """Raise UnsafeImage when the image would have to be completed from elsewhere, or can not be trusted."""
    incompatible = header.incompatible
    if header.backing_file_offset:
        raise _unsafe("it has a backing file", "Flatten it: qemu-img convert -O qcow2 IMAGE FLAT.qcow2")
    if incompatible & Incompatible.EXTERNAL_DATA or _EXTENSION_DATA_FILE in header.extensions:
        raise _unsafe("its data is in another file", "Flatten it: qemu-img convert -O qcow2 IMAGE FLAT.qcow2")
    if header.encryption or _EXTENSION_ENCRYPTION in header.extensions:
        raise _unsafe("it is encrypted", "Publish it without encryption; check it with a sum instead.")
    if unknown := incompatible & ~int(_KNOWN):
        raise _unsafe(f"it uses features that are not known (bits {unknown:#x})", "Convert it with qemu-img.")
    if incompatible & Incompatible.CORRUPT:
        raise _unsafe("it is marked corrupt", "Repair it: qemu-img check -r all IMAGE")


def _version_3(first: bytes) -> tuple[int, int]:
    if len(first) < _V3_LENGTH:
        raise _cut_short(first)
    incompatible, _compatible, _autoclear, _order, length = _V3.unpack_from(first, _V2_LENGTH)
    if length < _V3_LENGTH or length % 8:
        raise BadFormat(
            f"The qcow2 header says that it is {length} bytes long, which can not be.", hint=PUBLISH_AGAIN
        )
    return incompatible, length


def _compression(first: bytes, header_length: int, incompatible: int) -> Compression:
    # "Header", byte 104: the field is there in a header that is long enough, and is not zero if, and only if,
    # the feature bit is set.
    value = first[_COMPRESSION_OFFSET] if header_length > _COMPRESSION_OFFSET < len(first) else 0
    known = value in (kind.value for kind in Compression)
    if not known or bool(value) != bool(incompatible & Incompatible.COMPRESSION_TYPE):
        raise BadFormat(
            f"The qcow2 header names a compression ({value}) that is not known or contradicts its features.",
            hint=CONVERT,
        )
    return Compression(value)


def _extensions(first: bytes, offset: int, cluster_size: int) -> frozenset[int]:
    # They end at a type of zero, or where the first cluster does.
    found = set()
    end = min(len(first), cluster_size)
    while offset + 8 <= end:
        kind, length = struct.unpack_from(">II", first, offset)
        if kind == _EXTENSION_END:
            break
        found.add(kind)
        offset += 8 + -(-length // 8) * 8
    return frozenset(found)


def _check_sane(header: Qcow2Header) -> None:
    least = 14 if header.has_subclusters else 9
    if not least <= header.cluster_bits <= 21:
        raise BadFormat(
            f"The qcow2 header names clusters of 2^{header.cluster_bits} bytes, which can not be.",
            hint=PUBLISH_AGAIN,
        )
    if not 0 < header.virtual_size <= _MAX_VIRTUAL_SIZE or header.virtual_size % _SECTOR:
        raise BadFormat(
            f"The qcow2 header names a size of {header.virtual_size} bytes, which can not be.",
            hint=PUBLISH_AGAIN,
        )
    if header.l1_size < -(-header.virtual_size // header.table_span) or header.l1_size > _MAX_L1_ENTRIES:
        raise BadFormat(
            f"The qcow2 header names {header.l1_size} L1 entries, which can not be for a size of"
            f" {header.virtual_size} bytes.",
            hint=PUBLISH_AGAIN,
        )
    if header.snapshots > _MAX_SNAPSHOTS:
        raise BadFormat(
            f"The qcow2 file has {header.snapshots} internal snapshots, and {_MAX_SNAPSHOTS} are the most "
            "that is accepted; none of them would be written.",
            hint="Delete the snapshots (qemu-img snapshot -d) and publish the image again.",
        )


def _unsafe(why: str, hint: str) -> UnsafeImage:
    return UnsafeImage(
        f"The image can not be used: {why}.",
        detail="Only an image that is complete in itself is written to a disk; this one was not opened.",
        hint=hint,
    )
