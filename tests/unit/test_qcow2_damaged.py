"""Tables that can not be right: an error that says so, in bounded time, and never a wrong piece."""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.fetch.errors import ReadAgain
from agent.fetch.spool import Spool
from agent.fetch.stream_spool import StreamSpool
from agent.images.errors import BadFormat
from agent.images.pieces import ZeroPiece
from agent.images.qcow2 import tables
from agent.images.qcow2.header import Qcow2Header, parse
from agent.images.qcow2.reader import qcow2_reader
from agent.images.qcow2.tables import survey
from agent.images.qcow2.walk import walk
from tests.small_images import MIB, qcow2
from tests.unit.test_images_common import HeldBytes

CLUSTER = 65536
PACKED = 1 << 62
FORMS = {
    "plain": ("-o", "cluster_size=64k"),
    "v2": ("-o", "compat=0.10"),
    "zlib": ("-c",),
    "zstd": ("-c", "-o", "compression_type=zstd"),
    "subclusters": ("-o", "extended_l2=on"),
    "small": ("-c", "-o", "cluster_size=512"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    raw = tmp_path_factory.mktemp("damaged") / "image.raw"
    raw.write_bytes(random.Random(3).randbytes(3 * CLUSTER) + b"packs" * 40_000 + bytes(MIB))
    return {name: qcow2(raw, *options).read_bytes() for name, options in FORMS.items()}


class Patched:
    """A file with tables that can be changed."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.header = parse(data[:65536])

    @property
    def table(self) -> int:
        return self.l1(0) & ((1 << 56) - 512)

    def l1(self, index: int) -> int:
        word: int = struct.unpack_from(">Q", self.data, self.header.l1_offset + 8 * index)[0]
        return word

    def set_l1(self, word: int) -> None:
        struct.pack_into(">Q", self.data, self.header.l1_offset, word)

    def word(self, index: int) -> int:
        found: int = struct.unpack_from(">Q", self.data, self.table + 8 * index)[0]
        return found

    def set_word(self, index: int, word: int) -> None:
        struct.pack_into(">Q", self.data, self.table + 8 * index, word)

    def pour(self) -> int:
        """Take all pieces, and give how many bytes they were."""
        with Spool() as spool:
            spool.append(bytes(self.data))
            return pour(self.header, spool)

    def refused(self, why: str) -> None:
        for attempt in (
            lambda: survey(self.header, HeldBytes(bytes(self.data))),
            lambda: qcow2_reader(self.header, HeldBytes(bytes(self.data))).pread(self.header.virtual_size, 0),
            self.pour,
        ):
            with pytest.raises(BadFormat) as caught:
                attempt()
            assert why in caught.value.detail


def pour(header: Qcow2Header, spool: Spool) -> int:
    length = 0
    for piece in walk(header, spool):
        for part in (piece,) if isinstance(piece, ZeroPiece) else piece.runs():
            assert part.offset >= 0
            assert part.offset + part.length <= header.virtual_size
            length += part.length
        if not isinstance(piece, ZeroPiece):
            piece.done()
    return length


def test_sound_files(files: dict[str, bytes]) -> None:
    for data in files.values():
        file = Patched(data)
        assert file.pour() == file.header.virtual_size


def test_a_table_that_is_not_at_a_cluster(files: dict[str, bytes]) -> None:
    file = Patched(files["plain"])
    file.set_l1(file.table + 512)
    file.refused("an L2 table whose place in the file is not that of a cluster")


@pytest.mark.parametrize("where", [1 << 30, (1 << 56) - CLUSTER])
def test_a_table_beyond_the_end(files: dict[str, bytes], where: int) -> None:
    file = Patched(files["plain"])
    file.set_l1(where)
    file.refused("was cut short")


def test_a_table_that_two_places_name(files: dict[str, bytes]) -> None:
    file = Patched(files["small"])
    struct.pack_into(">Q", file.data, file.header.l1_offset + 8, file.l1(0))
    file.refused("one L2 table for two places of the disk")


def test_more_tables_than_memory_is_meant_for(
    files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Patched(files["small"])
    count = sum(file.l1(index) > 0 for index in range(file.header.l1_size))
    monkeypatch.setattr(tables, "_MOST_TABLES", count)
    assert file.pour() == file.header.virtual_size
    monkeypatch.setattr(tables, "_MOST_TABLES", count - 1)
    file.refused(f"The qcow2 file has more than {count - 1} L2 tables")


def test_a_cluster_that_is_not_at_a_cluster(files: dict[str, bytes]) -> None:
    for form, index in (("plain", 1), ("subclusters", 2)):
        file = Patched(files[form])
        file.set_word(index, file.word(index) + 512)
        file.refused(
            f"a cluster at byte {CLUSTER} of the disk whose place in the file is not that of a cluster"
        )


def test_a_cluster_beyond_the_end(files: dict[str, bytes]) -> None:
    for form in ("plain", "zlib", "subclusters"):
        file = Patched(files[form])
        file.set_word(0, 1 << 40 | (PACKED if form == "zlib" else 0))
        file.refused("was cut short")


def test_a_packed_cluster_that_begins_behind_the_end(files: dict[str, bytes]) -> None:
    file = Patched(files["zlib"])
    file.data += bytes(13 - len(file.data) % 512)
    file.set_word(0, PACKED | len(file.data) + 100)
    file.refused("was cut short")


class Counted(StreamSpool):
    """Counts how often somebody waits for bytes."""

    waits = 0

    def come(self, end: int) -> int:
        self.waits += 1
        return super().come(end)


def test_a_cluster_beyond_an_end_that_is_not_known_yet(files: dict[str, bytes]) -> None:
    file = Patched(files["plain"])
    file.set_word(0, 1 << 42)
    with Counted(16 * MIB) as spool:
        spool.append(bytes(file.data))
        pieces = walk(file.header, spool)
        assert isinstance(next(pieces), ZeroPiece)  # the table has been read
        spool.finish()
        with pytest.raises(BadFormat, match="was cut short"):
            for piece in pieces:
                if not isinstance(piece, ZeroPiece):
                    piece.done()
        assert spool.waits < 100


def test_a_zero_cluster_in_version_2(files: dict[str, bytes]) -> None:
    file = Patched(files["v2"])
    file.set_word(1, file.word(1) | 1)
    file.refused(f"a zero cluster at byte {CLUSTER} of the disk, which version 2 does not know")
    newer = Patched(files["plain"])
    newer.set_word(1, newer.word(1) | 1)
    assert newer.pour() == newer.header.virtual_size


@pytest.mark.parametrize("bitmap", [1 << 32 | 1, 1 << 63 | 1 << 31])
def test_subclusters_that_are_two_things(files: dict[str, bytes], bitmap: int) -> None:
    file = Patched(files["subclusters"])
    file.set_word(3, bitmap)
    file.refused(f"subclusters at byte {CLUSTER} of the disk that are two things at once")


def test_subclusters_without_a_cluster(files: dict[str, bytes]) -> None:
    file = Patched(files["subclusters"])
    file.set_word(2, 0)
    file.refused("subclusters at byte 65536 of the disk that are two things at once")


def test_a_cluster_that_two_places_name(files: dict[str, bytes]) -> None:
    for form in ("plain", "subclusters"):
        file = Patched(files[form])
        step = 2 if form == "subclusters" else 1
        far = file.header.virtual_size // CLUSTER - 1
        file.set_word(far * step, file.word(0))
        if step == 2:
            file.set_word(far * step + 1, 0xFFFFFFFF)
        try:
            file.pour()
        except ReadAgain as error:
            assert "names the same bytes of its file twice" in error.detail


@pytest.mark.parametrize("form", ["zlib", "zstd"])
def test_packed_bytes_that_are_not(files: dict[str, bytes], form: str) -> None:
    file = Patched(files[form])
    index = next(number for number in range(10) if file.word(number) & PACKED)
    host = file.word(index) & ((1 << 54) - 1)
    file.data[host : host + 200] = b"\xff" * 200
    with pytest.raises(BadFormat, match="a compressed cluster can not be unpacked"):
        file.pour()


def test_a_zstd_frame_that_claims_much(files: dict[str, bytes]) -> None:
    file = Patched(files["zstd"])
    index = next(number for number in range(10) if file.word(number) & PACKED)
    host = file.word(index) & ((1 << 54) - 1)
    # Frame_Header_Descriptor: a content size of 8 bytes, one segment (RFC 8878, section 3.1.1.1).
    file.data[host : host + 13] = b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little")
    with pytest.raises(BadFormat, match="a compressed cluster can not be unpacked"):
        file.pour()


def test_a_packed_cluster_that_unpacks_to_less(files: dict[str, bytes]) -> None:
    file = Patched(files["zlib"])
    index = next(number for number in range(10) if file.word(number) & PACKED)
    host = file.word(index) & ((1 << 54) - 1)
    file.data[host : host + 8] = b"\x03\x00" + bytes(6)  # an empty deflate stream
    with pytest.raises(BadFormat, match="a compressed cluster can not be unpacked"):
        file.pour()


def test_l1_entries_that_no_memory_is_taken_for(files: dict[str, bytes]) -> None:
    header = parse(files["plain"][:65536])
    assert tables.read_l1(header, HeldBytes(files["plain"]))[0]
    with pytest.raises(BadFormat, match="was cut short"):
        tables.read_l1(header, HeldBytes(files["plain"][: header.l1_offset + 7]))


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_whatever_the_tables_hold(files: dict[str, bytes], data: st.DataObject) -> None:
    content = bytearray(files[data.draw(st.sampled_from(sorted(files)))])
    header = parse(bytes(content[:65536]))
    table = Patched(bytes(content)).table
    places = st.integers(0, 600).map(table.__add__) | st.integers(header.l1_offset, header.l1_offset + 15)
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(places)
        piece = data.draw(st.binary(min_size=1, max_size=9))
        content[at : at + len(piece)] = piece
    with Spool() as spool:
        spool.append(bytes(content))
        try:
            assert pour(header, spool) == header.virtual_size
        except (BadFormat, ReadAgain) as error:
            assert error.hint
