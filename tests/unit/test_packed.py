"""Unpacking packed images."""

import random
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agent.effort import Effort
from agent.fetch.spool import Spool
from agent.fetch.stream_spool import StreamSpool
from agent.images.errors import BadFormat
from agent.images.packed import unpack
from agent.images.packed.background import BackgroundUnpacking
from agent.images.packed.packing import Packing, packing_of
from agent.images.packed.unpack import PIECE, unpacked
from tests.packed_samples import TOOLS, packed, packed_in_parts
from tests.small_images import sparse_pattern
from tests.unit.test_images_common import MIB

DATA = sparse_pattern(3 * MIB + 4711, seed=4)
EACH = pytest.mark.parametrize("packing", list(TOOLS))
CUT = "was cut short"


@contextmanager
def spool_of(data: bytes) -> Iterator[Spool]:
    with Spool() as spool:
        spool.append(data)
        yield spool


def through(packing: str, file: bytes) -> bytes:
    with spool_of(file) as spool:
        pieces = list(unpacked(Packing(packing), spool))
    assert all(0 < len(piece) <= PIECE for piece in pieces)
    return b"".join(pieces)


def refusal(packing: str, file: bytes) -> str:
    with pytest.raises(BadFormat) as caught:
        through(packing, file)
    assert caught.value.hint
    return caught.value.detail


@EACH
def test_what_the_tool_has_packed(packing: str) -> None:
    file = packed(DATA, packing)
    assert packing_of(file) is Packing(packing)
    assert through(packing, file) == DATA


@EACH
def test_several_one_after_another(packing: str) -> None:
    assert through(packing, packed_in_parts(DATA, packing, 5)) == DATA
    assert through(packing, packed(b"", packing) + packed(DATA, packing) + packed(b"", packing)) == DATA


@pytest.mark.parametrize(
    ("packing", "option"),
    [
        *(("gzip", option) for option in ("-1", "-9")),
        *(("xz", option) for option in ("-9", "--check=none", "--check=sha256", "--block-size=65536")),
        *(("zstd", option) for option in ("-1", "-19", "--long=27", "-T2", "--no-check", "-B65536")),
        *(("bzip2", option) for option in ("-1", "-9")),
    ],
)
def test_options_of_the_tools(packing: str, option: str) -> None:
    assert through(packing, packed(DATA, packing, option)) == DATA


def gzip_member(data: bytes, *, extra: bytes = b"", name: bytes = b"", crc: bool = False) -> bytes:
    """A member with fields of its header that gzip itself does not write (RFC 1952, section 2.3.1)."""
    flags = (4 if extra else 0) | (8 if name else 0) | (2 if crc else 0)
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(5) + b"\xff"
    header += len(extra).to_bytes(2, "little") + extra if extra else b""
    header += name + b"\0" if name else b""
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little") if crc else b""
    packer = zlib.compressobj(0, wbits=-15)
    body = packer.compress(data) + packer.flush()
    return header + body + zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")


@pytest.mark.parametrize("flag", [0x20, 0x40, 0x80])
@pytest.mark.parametrize("member", [0, 1])
def test_a_gzip_header_with_fields_that_nobody_knows(flag: int, member: int) -> None:
    """RFC 1952 wants an error: what follows the header can not be told from such a field."""
    first = packed(DATA, "gzip")
    data = bytearray(first + packed(DATA, "gzip"))
    data[member * len(first) + 3] |= flag
    assert "is damaged" in refusal("gzip", bytes(data))


@pytest.mark.parametrize(
    ("extra", "name", "crc"),
    [
        (b"BC\2\0ab", b"image.raw", False),
        (b"BC\2\0ab", b"", True),
        (b"", b"image.raw", True),
        (b"BC\2\0ab", b"image.raw", True),
    ],
)
def test_a_gzip_header_that_is_read_in_two_parts(
    extra: bytes, name: bytes, crc: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "_PACKED_PIECE", 1000)
    second = gzip_member(b"the second", extra=extra, name=name, crc=crc)
    stored = len(gzip_member(b""))
    # All of the second, and the end of the first, come to stand where one read ends and the next begins.
    for length in range(1000 - stored - len(second), 1000 - stored + 10):
        first = random.Random(length).randbytes(length)
        assert through("gzip", gzip_member(first) + second) == first + b"the second", length


@EACH
def test_a_file_that_comes_byte_by_byte(packing: str) -> None:
    data = sparse_pattern(20_000, seed=1)
    file = packed_in_parts(data, packing, 3)
    with StreamSpool(1 << 20) as source, StreamSpool(1 << 20) as into:
        work = BackgroundUnpacking(Packing(packing), source, into, check=lambda _: None, effort=Effort())
        for at in range(len(file)):
            source.append(file[at : at + 1])
        source.finish()
        assert work.wait(30)
        assert into.pread(into.size, 0) == data.ljust(-(-len(data) // 512) * 512, b"\0")


@EACH
def test_a_file_that_was_cut_short(packing: str) -> None:
    file = packed(b"what is packed", packing)
    assert through(packing, file) == b"what is packed"
    for length in range(1, len(file)):
        assert CUT in refusal(packing, file[:length]), length
    large = packed(DATA, packing)
    chance = random.Random(2)
    for _ in range(5):
        cut = chance.randrange(len(large) // 2, len(large))
        assert f"ends after {cut} bytes" in refusal(packing, large[:cut])


@EACH
@pytest.mark.parametrize("garbage", [b"x", b"\0", b"\0" * 8, b"QFI\xfb" * 100, b"\x1f", b"\x1f\x8b\x09" * 9])
def test_what_follows_and_is_not_packed(packing: str, garbage: bytes) -> None:
    file = packed(DATA, packing)
    if packing == "xz" and garbage == b"\0" * 8:
        assert through(packing, file + garbage) == DATA
        assert through(packing, file + bytes(300_000) + file + bytes(4)) == DATA * 2
        return
    assert f"ends at byte {len(file)}, and something else follows" in refusal(packing, file + garbage)


@EACH
def test_a_file_that_is_damaged(packing: str) -> None:
    file = bytearray(packed(DATA, packing))
    chance = random.Random(3)
    for _ in range(20):
        at = chance.randrange(len(file) // 4, len(file) * 3 // 4)
        file[at] ^= 1 << chance.randrange(8)
        assert f"{packing} file" in refusal(packing, bytes(file))


@EACH
def test_a_sum_that_is_wrong(packing: str) -> None:
    file = bytearray(packed(DATA, packing))
    # Where each has the sum of what it unpacks to.
    place = {"gzip": -8, "xz": -40, "zstd": -4, "bzip2": 10}[packing]
    file[place] ^= 1
    assert "is damaged" in refusal(packing, bytes(file))


@EACH
def test_a_file_that_grows_without_end_takes_no_memory(packing: str) -> None:
    file = packed(bytes(256 * MIB), packing)
    with spool_of(file) as spool:
        tracemalloc.start()
        length = sum(len(piece) for piece in unpacked(Packing(packing), spool))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert length == 256 * MIB
    assert peak < 16 * MIB


@pytest.mark.parametrize(
    ("packing", "option"), [("xz", "--lzma2=preset=0,dict=256MiB"), ("zstd", "--long=28")]
)
def test_a_window_that_is_too_large(packing: str, option: str) -> None:
    assert "takes too much memory to unpack" in refusal(packing, packed(DATA, packing, option))


def test_zstd_frames_that_are_skipped() -> None:
    skipped = b"\x5f\x2a\x4d\x18" + (300_000).to_bytes(4, "little") + bytes(300_000)
    file = skipped + packed(DATA, "zstd") + skipped + packed(b"more", "zstd") + skipped
    assert packing_of(file) is Packing.ZSTD
    assert through("zstd", file) == DATA + b"more"
    assert CUT in refusal("zstd", file[:-1])


def test_a_zstd_block_that_no_frame_may_have() -> None:
    file = bytearray(packed(b"abc" * 1000, "zstd", "--no-check"))
    assert "is damaged" in refusal("zstd", bytes(file[:6] + b"\x07\x00\x00" + file[6:]))


def test_zeroes_take_no_memory_while_they_wait() -> None:
    file = packed(bytes(64 * MIB) + b"end" * 1000, "gzip")
    with StreamSpool(1 << 20) as source, StreamSpool(2 << 20) as into:
        source.append(file)
        source.finish()
        work = BackgroundUnpacking(Packing.GZIP, source, into, check=lambda _: None, effort=Effort())
        assert work.wait(30)
        assert into.known_size == 64 * MIB + 3072
        assert into.most_held < MIB
        assert into.pread(4, 64 * MIB - 1) == b"\0end"


def test_a_file_with_nothing_in_it() -> None:
    with StreamSpool(1 << 20) as source, StreamSpool(1 << 20) as into:
        source.append(packed(b"", "xz"))
        source.finish()
        work = BackgroundUnpacking(Packing.XZ, source, into, check=lambda _: None, effort=Effort())
        assert work.wait(30)
        with pytest.raises(BadFormat) as caught:
            into.come(1)
    assert "nothing in it" in caught.value.detail


def test_other_files_are_not_packed() -> None:
    for first in (b"", b"QFI\xfb", bytes(512), b"BZ", b"\x1f\x8b\x07", b"\xfd7zXZ", b"\x28\xb5\x2f"):
        assert packing_of(first) is None
