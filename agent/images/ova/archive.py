"""What is in an OVA: its members are found, and read where they stand. Nothing is ever extracted."""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from agent.images.errors import PUBLISH_AGAIN, BadFormat, UnsafeImage
from partitioning.byte_access import ByteReader

MOST_MEMBERS = 256
EXPORT = "Export the machine again as OVA."
MOST_AT_ONCE = 8 << 10
"""Bytes that are read at once: extended headers may claim to be of any length, and names are short."""
MOST_IN_ALL = 1 << 20
"""Bytes of all headers: the map of a file with holes may be as long as the archive."""
TARFILE_RAISES = (tarfile.TarError, EOFError, ValueError, IndexError, OverflowError, RecursionError)
"""What tarfile raises for what it can not read. A map of holes that ends too early is read past its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file in the archive: its name, and where its bytes stand (bytes)."""

    name: str
    start: int
    size: int


def members_of(file: ByteReader) -> dict[str, Member]:
    """Give the files in the archive by their names. Raises BadFormat, and UnsafeImage."""
    return {member.name: member for member in each_member(file)}


def each_member(file: ByteReader) -> Iterator[Member]:
    """Yield the files in the archive in their order, each when its header has been read.

    Raises BadFormat, UnsafeImage, and what reading ``file`` raises.
    """
    members: dict[str, Member] = {}
    try:
        stream = _Stream(file)
        with tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape") as archive:
            for number, found in enumerate(archive):
                if number == MOST_MEMBERS:
                    raise BadFormat(f"The archive holds more than {number} files.", hint=EXPORT)
                member = add_member(members, found, file.size)
                if member is not None:
                    yield member
        require_end(stream.last_read)
    except TARFILE_RAISES as error:
        raise BadFormat("The archive (tar) is damaged or was cut short.", hint=PUBLISH_AGAIN) from error


def require_end(last_read: bytes) -> None:
    """Raise ReadError unless the members ended in a block of zeroes (POSIX, pax: "ustar Interchange Format").

    tarfile takes a damaged header behind a member, and the end of the file, for the archive's end. The sums
    may stand behind it.
    """
    if len(last_read) != tarfile.BLOCKSIZE or any(last_read):
        raise tarfile.ReadError("the archive does not end")


def add_member(members: dict[str, Member], found: tarfile.TarInfo, file_size: int) -> Member | None:
    """Add what was found in an archive of ``file_size`` bytes, and give it; None for a directory.

    Raises BadFormat, and UnsafeImage.
    """
    if found.isdir():
        return None
    name = found.name.removeprefix("./")
    shown = ascii(name)
    if not found.isreg() or found.issparse():
        raise UnsafeImage(
            "The archive can not be used: it holds something else than files.",
            detail=f"The member {shown} is a link, a device, or a file with holes.",
            hint="Export the machine again as OVA; it holds an .ovf, an .mf and a .vmdk file.",
        )
    if name.startswith("/") or ".." in name.split("/"):
        raise UnsafeImage(
            "The archive can not be used: a name in it points outside.",
            detail=f"The member {shown} would stand outside of the archive's own directory.",
            hint=EXPORT,
        )
    if name in members:
        raise BadFormat(f"The archive holds {shown} twice.", hint=EXPORT)
    # A size may be written as a number below zero.
    if not 0 <= found.size <= file_size - found.offset_data:
        raise BadFormat(f"The archive was cut short: it ends within {shown}.", hint=PUBLISH_AGAIN)
    members[name] = Member(name=name, start=found.offset_data, size=found.size)
    return members[name]


class _Stream(io.RawIOBase):
    """The archive as tarfile wants it."""

    def __init__(self, file: ByteReader) -> None:
        self._file = file
        self._at = 0
        self._left = MOST_IN_ALL
        self.last_read = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < 0:
            raise ValueError("tarfile seeks from the beginning only")
        self._at = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        length = max(0, min(size, self._file.size - self._at))
        self._left -= length
        if size < 0 or length > MOST_AT_ONCE or self._left < 0:
            raise tarfile.ReadError("a header is too long")
        self.last_read = self._file.pread(length, self._at)
        self._at += length
        return self.last_read
