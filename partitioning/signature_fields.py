"""What one signature check needs: bytes that may not be there, text padded in various ways, UUIDs."""

from dataclasses import dataclass
from uuid import UUID

from partitioning.byte_access import ByteReader, NotThereYet
from partitioning.errors import DiskError

_NOT_MOUNTABLE = frozenset(
    {"crypto_LUKS", "LVM2_member", "linux_raid_member", "bcache", "zfs_member", "swap"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """A file system, or what else makes a device a member of something; ``type`` as blkid calls it.

    ``label`` and ``uuid`` are empty where the format has none or none was given.
    """

    type: str
    label: str = ""
    uuid: str = ""

    @property
    def is_mountable(self) -> bool:
        """Tell whether it is a file system, and not a member of something, swap, or encrypted."""
        return self.type not in _NOT_MOUNTABLE


def read_or_nothing(reader: ByteReader, offset: int, length: int) -> bytes:
    """Read ``length`` bytes at ``offset``; zeroes, which no signature matches, where that can not be done."""
    if offset < 0 or offset + length > reader.size:
        return bytes(length)
    try:
        return reader.pread(length, offset)
    except (DiskError, OSError, EOFError):
        return bytes(length)


def read_end_or_nothing(reader: ByteReader, offset: int, length: int) -> bytes:
    """Read what may stand at the end of something whose beginning says all; nothing if it is not there yet.

    Of an image that is still on its way, what is told by the end alone (members of old arrays) is not seen.
    """
    try:
        return read_or_nothing(reader, offset, length)
    except NotThereYet:
        return bytes(length)


def text(raw: bytes) -> str:
    """Decode a label that ends at its first NUL and may be padded with spaces."""
    return raw.split(b"\0")[0].decode(errors="replace").rstrip()


def uuid_text(raw: bytes) -> str:
    """Write 16 bytes as a UUID, nothing when they are zero."""
    return str(UUID(bytes=raw)) if any(raw) else ""
