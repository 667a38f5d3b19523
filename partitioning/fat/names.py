"""The two names of a FAT directory entry: the short one of 8 and 3 characters, and the long one.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03.
"""

from dataclasses import dataclass

LOWER_BASE = 0x08
LOWER_EXTENSION = 0x10
LONG_NAME_PIECE = 26
"""Bytes of a long name in one entry: 13 units of UTF-16."""

_MOST_UNITS = 255
_BASE = 8
# Sections 6.1 and 7.3: not in long names. The control characters are not either.
_NOT_IN_NAMES = frozenset('"*/:<>?\\|')
# Section 6.1: what else is not in short names. A lower-case letter is not found by what looks for names as
# they ought to be.
_NOT_IN_SHORT_NAMES = frozenset(b'"*+,./:;<=>?[\\]|\x7fabcdefghijklmnopqrstuvwxyz')
_ALIAS_OF_E5 = 0x05


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortName:
    """A short name as an entry has it: 11 bytes, and Windows NT's bits that show a part in lower case."""

    raw: bytes
    case: int = 0

    @property
    def text(self) -> str:
        """The name as it is shown where the entry has no long one."""
        whole = decode_oem(self.raw)
        base, extension = whole[:_BASE].rstrip(" "), whole[_BASE:].rstrip(" ")
        if self.case & LOWER_BASE:
            base = base.lower()
        if self.case & LOWER_EXTENSION:
            extension = extension.lower()
        return f"{base}.{extension}" if extension else base

    @property
    def is_sound(self) -> bool:
        """Whether it is made as section 6.1 wants it, so that no checker takes offence."""
        rest = self.raw[1:] if self.raw[0] == _ALIAS_OF_E5 else self.raw
        return self.raw[0] != ord(" ") and not any(
            byte < ord(" ") or byte in _NOT_IN_SHORT_NAMES for byte in rest
        )

    @property
    def checksum(self) -> int:
        """What each entry of the long name carries (section 7.2)."""
        total = 0
        for byte in self.raw:
            total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
        return total


def decode_oem(raw: bytes) -> str:
    """Give a short name or a label as text; code page 437 gives every byte a character of its own."""
    # Section 6.1: 0x05 stands for a first byte of 0xE5, which would mean a free entry.
    return (b"\xe5" + raw[1:] if raw[0] == _ALIAS_OF_E5 else raw).decode("cp437")


def encode_oem(text: str) -> bytes:
    """Give the bytes that ``decode_oem`` reads; UnicodeEncodeError for what code page 437 does not have."""
    raw = text.encode("cp437")
    return bytes([_ALIAS_OF_E5]) + raw[1:] if raw[:1] == b"\xe5" else raw


def folded(name: str) -> str:
    """Give the same for names that differ in case alone, which FAT takes for one.

    Letter by letter, as file systems do it: 'ß' is not 'ss'.
    """
    return "".join(upper if len(upper := letter.upper()) == 1 else letter for letter in name)


def can_stand(name: str) -> bool:
    """Tell whether a file or directory can have this long name (section 7.3)."""
    return (
        name not in ("", ".", "..")
        and len(_utf16(name)) <= 2 * _MOST_UNITS
        and not any(letter < " " or letter in _NOT_IN_NAMES for letter in name)
    )


def long_name_pieces(name: str) -> list[bytes]:
    """Give what the long name's entries hold, the first piece first (section 7)."""
    whole = _utf16(name)
    pieces = [whole[at : at + LONG_NAME_PIECE] for at in range(0, len(whole), LONG_NAME_PIECE)]
    if len(pieces[-1]) < LONG_NAME_PIECE:
        pieces[-1] = (pieces[-1] + b"\0\0").ljust(LONG_NAME_PIECE, b"\xff")
    return pieces


def from_long_name_pieces(pieces: list[bytes]) -> str:
    """Put a long name together from its entries' pieces, the first piece first."""
    return b"".join(pieces).decode("utf-16-le", errors="surrogatepass").split("\0")[0]


def _utf16(name: str) -> bytes:
    # Windows lets half a surrogate pair stand in a name: it comes back as it was.
    return name.encode("utf-16-le", errors="surrogatepass")
