"""Directory entries of a FAT file system that is made anew: short names, long names, the label.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03. Reading them is in
fat_directory.py.
"""

import re
import struct
from collections.abc import Iterator

DIRECTORY = 0x10
ARCHIVE = 0x20
VOLUME_LABEL = 0x08

_LONG_NAME = 0x0F
_LAST_LONG_ENTRY = 0x40
_LONG_NAME_PIECE = 13
# 1980-01-01, the first day there is: the same files always give the same image.
_DATE = 0x0021
_PLAIN = re.compile(r"([A-Z0-9_]{1,8})(?:\.([A-Z0-9_]{1,3}))?")


def entries_for(name: str) -> int:
    """Give how many entries ``name`` takes in a directory."""
    return 1 if _PLAIN.fullmatch(name) else 1 + -(-len(name) // _LONG_NAME_PIECE)


def named_entry(name: str, number: int, attribute: int, cluster: int, length: int) -> bytes:
    """Give all entries for one name; ``number`` counts the names of its directory, from 1.

    What is a short name as it stands (BOOTX64.EFI) gets no long one: the simplest firmware finds it.
    """
    plain = _PLAIN.fullmatch(name)
    if plain:
        short = f"{plain[1]:<8}{plain[2] or '':<3}".encode("ascii")
        return short_entry(short, attribute, cluster, length)
    short = _alias(name, number)
    return b"".join(_long_name(name, short)) + short_entry(short, attribute, cluster, length)


def short_entry(name: bytes, attribute: int, cluster: int, length: int) -> bytes:
    """Give one entry (section 6.1); ``name`` are its 11 bytes."""
    high, low = cluster >> 16, cluster & 0xFFFF
    return struct.pack("<11sBBBHHHHHHHI", name, attribute, 0, 0, 0, _DATE, _DATE, high, 0, _DATE, low, length)


def label_bytes(label: str) -> bytes:
    """Give a label as it stands in an entry and in the boot sector."""
    return label.encode("ascii").ljust(11)


def _alias(name: str, number: int) -> bytes:
    """Give a short name no other name in the directory has (section 7)."""
    stem, _, suffix = name.upper().rpartition(".") if "." in name else (name.upper(), "", "")
    tail = f"~{number}"
    stem = re.sub(r"[^A-Z0-9_]", "", stem)[: 8 - len(tail)] + tail
    return f"{stem:<8}{re.sub(r'[^A-Z0-9_]', '', suffix)[:3]:<3}".encode("ascii")


def _long_name(name: str, short: bytes) -> Iterator[bytes]:
    """Give the long name's entries in the order they have on the disk: the last piece first (section 7)."""
    checksum = _checksum(short)
    pieces = -(-len(name) // _LONG_NAME_PIECE)
    for number in range(pieces, 0, -1):
        piece = name[(number - 1) * _LONG_NAME_PIECE : number * _LONG_NAME_PIECE].encode("utf-16-le")
        if len(piece) < 2 * _LONG_NAME_PIECE:
            piece = (piece + b"\0\0").ljust(2 * _LONG_NAME_PIECE, b"\xff")
        last = _LAST_LONG_ENTRY if number == pieces else 0
        yield struct.pack(
            "<B10sBBB12sH4s",
            number | last,
            piece[:10],
            _LONG_NAME,
            0,
            checksum,
            piece[10:22],
            0,
            piece[22:],
        )


def _checksum(short: bytes) -> int:
    total = 0
    for byte in short:
        total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
    return total
