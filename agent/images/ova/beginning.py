"""How large the disk in an OVA is, told by the first bytes of the archive: they need not hold it all."""

from agent.images.ova.archive import Member, each_member
from agent.images.ova.description import disk_file
from agent.images.ova.package import only
from agent.images.vmdk.header import read_first_header
from partitioning.byte_access import ByteReader, NotThereYet, RangeReader

_UNLIMITED = 1 << 62


def disk_size_by(first: bytes) -> int | None:
    """Give the size of the disk in bytes; None where ``first`` ends before it is told.

    Raises BadFormat, and UnsafeImage, where what has come can not be used whatever follows.
    """
    begun = _Begun(first)
    try:
        disk = _disk_in(begun)
        if disk is None:
            return None
        return read_first_header(RangeReader(begun, disk.start, disk.size)).capacity
    except NotThereYet:
        return None


def _disk_in(file: ByteReader) -> Member | None:
    """Give the disk as soon as the description has come, and the disk's beginning."""
    members: dict[str, Member] = {}
    wanted: str | None = None
    for member in each_member(file):
        members[member.name] = member
        if only(members, ".ovf") is member:
            wanted = disk_file(file.pread(member.size, member.start))
        if wanted in members:
            return members[wanted]
    return None


class _Begun:
    """A file of which nothing is there but its first bytes, and nobody knows how long it is."""

    size = _UNLIMITED

    def __init__(self, first: bytes) -> None:
        self._first = first

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``. Raises NotThereYet."""
        if offset + length > len(self._first):
            raise NotThereYet
        return self._first[offset : offset + length]
