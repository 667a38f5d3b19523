"""Changes that hit what the formats are made of: fields of 4 and 8 bytes: offsets, lengths and flags."""

import bz2
import gzip
import lzma
import random
from collections.abc import Callable
from typing import Literal

import zstandard

ByteOrder = Literal["little", "big"]
_Change = Callable[[bytearray, random.Random, "Fields"], None]

_UNITS = (1, 8, 512, 4096, 16384, 65536)
_SKIPPED = b"\x5a\x2a\x4d\x18\x03\0\0\0abc"
"""A frame that zstd skips."""
_TAR_BLOCK = 512
_TAR_SUM = slice(148, 156)


class Fields:
    """How a format writes its numbers: the byte order, and the unit that offsets are counted in (bytes)."""

    def __init__(self, order: ByteOrder, unit: int, flags: tuple[int, ...]) -> None:
        self.order = order
        self._unit = unit
        self._flags = flags

    def interesting(self, old: int, size: int, chance: random.Random) -> int:
        """Give a number that may be worth a try where ``old`` stands, in a file of ``size`` bytes."""
        unit = chance.choice(_UNITS)
        near = chance.choice((1, 2, 8, 512, unit))
        place = chance.randrange(size + 1) // unit * unit
        whole = chance.choice((0, 1, 2, 3, 31, 32, 255, (1 << 31) - 1, (1 << 32) - 1, 1 << 56, (1 << 63) - 1))
        return chance.choice(
            (
                old + near,
                old - near,
                old ^ (1 << chance.randrange(64)),
                old ^ chance.choice(self._flags),
                old | chance.choice(self._flags),
                place // self._unit,
                place // self._unit | chance.choice(self._flags),
                (size + chance.choice((-1, 0, 1)) * near) // self._unit,
                1 << chance.randrange(64),
                whole,
                -chance.randrange(1, 600),
            )
        )


QCOW2 = Fields("big", 1, (1, 1 << 61, 1 << 62, 1 << 63, 0x1FF, (1 << 54) - 1, 0xFFFFFFFF, 0xFFFFFFFF << 32))
PACKED = Fields("little", 1, (1, 4, 0x20, 0xC0, 1 << 23, 0xFFFF))
VMDK = Fields("little", 512, (1, 1 << 16, 1 << 17, 0x30000))


def mutate(data: bytes, fields: Fields, most: int, seed: int) -> bytes:
    """Change ``data`` in a few places; it has at most ``most`` bytes afterwards."""
    chance = random.Random(seed)
    changed = bytearray(data or bytes(512))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        chance.choice(_CHANGES)(changed, chance, fields)
    return bytes(changed[:most])


def mutate_archive(data: bytes, most: int, seed: int) -> bytes:
    """Change an archive: its headers, whose sums are made right again, or what is in it."""
    chance = random.Random(seed)
    changed = bytearray(data or bytes(_TAR_BLOCK))
    headers = list(_headers(changed))
    if headers and chance.random() < 0.6:
        _change_header(changed, chance.choice(headers), chance)
    else:
        changed = bytearray(mutate(bytes(changed), VMDK, most, chance.randrange(1 << 32)))
    if chance.random() < 0.9:
        for at in _headers(changed):
            _mend(changed, at)
    return bytes(changed[:most])


def mutate_packed(data: bytes, most: int, seed: int) -> bytes:
    """Change a packed file, put one behind another, or pack something else: most changes break a sum."""
    chance = random.Random(seed)
    changed = data or bytes(512)
    what = chance.random()
    if what < 0.2:
        changed = _packed_anew(chance)
    if what < 0.5:
        between = (b"", b"", bytes(4), bytes(3), _SKIPPED, b"\x1f\x8b\x08")
        parts = [chance.choice((changed, _packed_anew(chance))) for _ in range(chance.randrange(1, 4))]
        changed = chance.choice(between).join(parts) + chance.choice(between)
    if chance.random() < 0.8:
        changed = mutate(changed, chance.choice((PACKED, QCOW2)), most, chance.randrange(1 << 32))
    return changed[:most]


def _packed_anew(chance: random.Random) -> bytes:
    """Pack some bytes in one of the ways, with one of its options."""
    raw = b"".join(
        chance.choice((chance.randbytes(300), bytes(20_000), b"again " * 500))
        for _ in range(chance.randrange(1, 6))
    )
    raw = raw[:510].ljust(510) + b"\x55\xaa" + raw[512 : chance.randrange(512, 60_000)]
    level, flag = chance.choice((1, 6, 9)), chance.random() < 0.5
    checks = (lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256)
    packers: tuple[Callable[[], bytes], ...] = (
        lambda: gzip.compress(raw, level, mtime=0),
        lambda: bz2.compress(raw, level),
        lambda: lzma.compress(raw, check=chance.choice(checks), preset=level // 4),
        lambda: zstandard.ZstdCompressor(
            level=level, write_checksum=flag, write_content_size=chance.random() < 0.5
        ).compress(raw),
    )
    return chance.choice(packers)()


def _set_field(data: bytearray, chance: random.Random, fields: Fields) -> None:
    at, length = _field(data, chance)
    old = int.from_bytes(data[at : at + length], fields.order)
    new = fields.interesting(old, len(data), chance) % (1 << 8 * length)
    data[at : at + length] = new.to_bytes(length, fields.order)


def _set_header_field(data: bytearray, chance: random.Random, fields: Fields) -> None:
    head = data[:128]
    _set_field(head, chance, fields)
    data[: len(head)] = head


def _copy_field(data: bytearray, chance: random.Random, _fields: Fields) -> None:
    (source, length), (at, _) = _field(data, chance), _field(data, chance)
    part = data[source : source + length]
    data[at : at + len(part)] = part


def _set_bytes(data: bytearray, chance: random.Random, _fields: Fields) -> None:
    at = chance.randrange(len(data))
    part = chance.choice((chance.randbytes(chance.randrange(1, 9)), bytes(16), b"\xff" * 8))
    data[at : at + len(part)] = part


def _copy_block(data: bytearray, chance: random.Random, _fields: Fields) -> None:
    unit = chance.choice((512, 4096))
    source, at = (chance.randrange(len(data)) // unit * unit for _ in range(2))
    part = data[source : source + unit]
    data[at : at + len(part)] = part


def _clear_block(data: bytearray, chance: random.Random, _fields: Fields) -> None:
    unit = chance.choice((16, 512, 4096))
    at = chance.randrange(len(data)) // unit * unit
    data[at : at + unit] = bytes(len(data[at : at + unit]))


def _cut(data: bytearray, chance: random.Random, _fields: Fields) -> None:
    end = chance.randrange(1, len(data) + 1)
    del data[end // 512 * 512 or end if chance.random() < 0.7 else end :]


def _extend(data: bytearray, chance: random.Random, _fields: Fields) -> None:
    data += bytes(chance.choice((1, 511, 512, 4096)))


def _field(data: bytearray, chance: random.Random) -> tuple[int, int]:
    """Choose an aligned field; those that hold something are the ones that matter."""
    length = chance.choice((4, 8, 8))
    for _ in range(8):
        at = chance.randrange(max(1, len(data) // length)) * length
        if any(data[at : at + length]):
            break
    return at, min(length, len(data) - at)


_CHANGES: tuple[_Change, ...] = (
    _set_field,
    _set_field,
    _set_field,
    _set_header_field,
    _set_header_field,
    _copy_field,
    _set_bytes,
    _copy_block,
    _clear_block,
    _cut,
    _extend,
)


def _headers(data: bytearray) -> list[int]:
    blocks = range(0, len(data) - _TAR_BLOCK + 1, _TAR_BLOCK)
    return [at for at in blocks if data[at + 257 : at + 262] == b"ustar"]


def _change_header(data: bytearray, at: int, chance: random.Random) -> None:
    """Change the name, the size, or the kind of a member."""
    size = chance.choice(
        (b"%011o" % chance.randrange(len(data)), b"-0000001000", b"\xff" * 11, b"77777777777")
    )
    what = chance.randrange(5)
    if what == 0:
        data[at + 124 : at + 135] = size
    elif what == 1:
        data[at + 156] = chance.choice(b"\x00012345679ABDKLMNSVXgx")
    elif what == 2:
        data[at + chance.randrange(100)] = chance.choice(b"./\0\xffa")
    elif what == 3:
        data[at + 345 + chance.randrange(167)] = chance.choice(b"\x000117\xff")
    else:
        data[at + chance.randrange(_TAR_BLOCK)] = chance.randrange(256)


def _mend(data: bytearray, at: int) -> None:
    """Make the sum of a header right (POSIX.1-1988, ustar: the sum of its bytes, its own field as blanks)."""
    block = data[at : at + _TAR_BLOCK]
    block[_TAR_SUM] = b" " * 8
    block[_TAR_SUM] = b"%06o\0 " % sum(block)
    data[at : at + _TAR_BLOCK] = block
