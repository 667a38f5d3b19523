"""Unpacking a file while it comes: member after member, in pieces, and nothing else may stand in it."""

from collections.abc import Iterator

from agent.images.errors import PUBLISH_AGAIN, BadFormat, cut_short
from agent.images.packed.member import LARGEST_WINDOW, Member, damage, new_member
from agent.images.packed.packing import LONGEST_MAGIC, Packing, begins
from agent.images.pieces import Incoming

PIECE = 1 << 20
"""Bytes of the image that are unpacked at a time, at the most."""

_PACKED_PIECE = 256 << 10
_MOST_HEADER = 128 << 10
"""Bytes that the header of a gzip member may take: one optional field of 64 KiB, and names."""
_XZ_UNIT = 4
_GZIP_FLAGS = 3
_GZIP_RESERVED = 0b1110_0000


def unpacked(packing: Packing, file: Incoming) -> Iterator[bytes]:
    """Yield what ``file`` unpacks to; what was read of it is given back.

    Raises BadFormat where it is damaged, was cut short, or has something behind its end.
    """
    packed = _Packed(file)
    while packed.at == 0 or _goes_on(packing, packed):
        # isal loses its place in a header with several optional fields when it comes in two parts.
        packed.collect(_MOST_HEADER)
        if packing is Packing.GZIP:
            _refuse_unknown_flags(packed)
        yield from _member(packing, new_member(packing), packed)


class _Packed:
    """Reads a file from its beginning; what was read and not used comes again."""

    def __init__(self, file: Incoming) -> None:
        self._file = file
        self._read = 0
        self._left = b""

    @property
    def at(self) -> int:
        """How many bytes were used."""
        return self._read - len(self._left)

    def take(self) -> bytes:
        """Give the next bytes; none at the end."""
        if self._left:
            data, self._left = self._left, b""
            return data
        end = self._file.come(self._read + _PACKED_PIECE)
        data = self._file.pread(end - self._read, self._read)
        self._file.release(self._read, end)
        self._read = end
        return data

    def put_back(self, data: bytes) -> None:
        """Keep ``data``, which was taken last, for the next time."""
        self._left = data

    def peek(self, length: int) -> bytes:
        """Give the next bytes, fewer at the end only, and keep them."""
        self.collect(length)
        return self._left[:length]

    def collect(self, length: int) -> None:
        """Let the next ``length`` bytes be taken at once, fewer at the end only."""
        data = b""
        while len(data) < length and (more := self.take()):
            data += more
        self.put_back(data)


def _goes_on(packing: Packing, packed: _Packed) -> bool:
    """Tell whether another member follows. Raises BadFormat where something else does."""
    if packing is Packing.XZ:
        _pass_padding(packed)
    following = packed.peek(LONGEST_MAGIC)
    if following and not begins(packing, following):
        raise BadFormat(
            f"The {packing.file} ends at byte {packed.at}, and something else follows.", hint=PUBLISH_AGAIN
        )
    return bool(following)


def _refuse_unknown_flags(packed: _Packed) -> None:
    """Raise BadFormat where a header has fields that nobody knows (RFC 1952, section 2.3.1.2)."""
    # isal does not look at them, and would take such a field for packed data.
    header = packed.peek(_GZIP_FLAGS + 1)
    if len(header) > _GZIP_FLAGS and header[_GZIP_FLAGS] & _GZIP_RESERVED:
        raise _damaged(Packing.GZIP, packed.at + len(header))


def _pass_padding(packed: _Packed) -> None:
    """Pass over the padding of a stream (The .xz File Format, section 2.2): zeroes, four at a time."""
    while packed.peek(_XZ_UNIT) == bytes(_XZ_UNIT):
        data = packed.take()
        zeroes = len(data) - len(data.lstrip(b"\0"))
        packed.put_back(data[zeroes // _XZ_UNIT * _XZ_UNIT :])


def _member(packing: Packing, member: Member, packed: _Packed) -> Iterator[bytes]:
    errors = damage(packing)
    while not member.eof:
        data = packed.take() if member.needs_input else b""
        if not data and member.needs_input:
            raise cut_short(packing.file, packed.at)
        try:
            piece = member.decompress(data, PIECE)
        except errors as error:
            if _is_for_memory(error):
                raise _too_much_memory(packing) from error
            raise _damaged(packing, packed.at) from error
        if piece:
            yield piece
    packed.put_back(member.unused_data)


def _is_for_memory(error: Exception) -> bool:
    return "memory" in str(error).lower()


def _too_much_memory(packing: Packing) -> BadFormat:
    return BadFormat(
        f"The {packing.file} takes too much memory to unpack: it refers back farther than"
        f" {LARGEST_WINDOW >> 20} MiB.",
        hint="Pack it with a window (dictionary) of at most 128 MiB, as xz -9 and zstd --long=27 do.",
    )


def _damaged(packing: Packing, at: int) -> BadFormat:
    return BadFormat(f"The {packing.file} is damaged before byte {at}.", hint=PUBLISH_AGAIN)
