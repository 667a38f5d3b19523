"""What Python's own libraries unpack, for comparison with what the agent does."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

import zstandard

from agent.images.packed.packing import Packing, packing_of

LARGEST = 8 << 20
"""Bytes: what unpacks to more is as if no disk had room for it."""

_STEP = 512
"""Bytes of a file at a time: what they unpack to is held as a whole."""
_SKIPPED = 0x184D2A5
_DAMAGE = (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
_NEW: dict[Packing, Callable[[], Any]] = {
    Packing.GZIP: lambda: zlib.decompressobj(31),
    Packing.XZ: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=136 << 20),
    Packing.ZSTD: lambda: zstandard.ZstdDecompressor(max_window_size=128 << 20).decompressobj(),
    Packing.BZIP2: bz2.BZ2Decompressor,
}


def unpacked_by_python(data: bytes) -> bytes | None:
    """Unpack a file; None where it can not be unpacked to its end, or to more than LARGEST bytes."""
    packing = packing_of(data)
    if packing is None:
        return None
    content, file = bytearray(), data
    try:
        while file:
            part, file = _member(packing, file)
            content += part
            if len(content) > LARGEST:
                return None
    except _DAMAGE:
        return None
    return bytes(content)


def _member(packing: Packing, file: bytes) -> tuple[bytes, bytes]:
    """Unpack the first member, and give what follows."""
    if packing is Packing.ZSTD and int.from_bytes(file[:4], "little") >> 4 == _SKIPPED:
        end = 8 + int.from_bytes(file[4:8], "little")
        if len(file) < max(8, end):
            raise EOFError
        return b"", file[end:]
    member, content = _NEW[packing](), bytearray()
    for at in range(0, len(file), _STEP):
        content += member.decompress(file[at : at + _STEP])
        if member.eof:
            rest = member.unused_data + file[at + _STEP :]
            return bytes(content), _without_padding(rest) if packing is Packing.XZ else rest
        if len(content) > LARGEST:
            return bytes(content), b""
    raise EOFError


def _without_padding(rest: bytes) -> bytes:
    zeroes = len(rest) - len(rest.lstrip(b"\0"))
    return rest[zeroes // 4 * 4 :]
