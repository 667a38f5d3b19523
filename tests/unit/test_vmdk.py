import contextlib
import random
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import Refused
from agent.fetch.errors import ReadAgain, TooBigForMemory
from agent.fetch.spool import Spool
from agent.fetch.stream_spool import Stopped, StreamSpool
from agent.images.errors import BadFormat, UnsafeImage
from agent.images.extent import Extent
from agent.images.image import Image, arriving_ova_image
from agent.images.ova.archive import Member
from agent.images.pieces import Piece, ZeroPiece
from agent.images.vmdk.arriving import arriving_pieces, arriving_reader
from agent.images.vmdk.header import read_first_header, read_header
from agent.images.vmdk.markers import read_markers
from agent.images.vmdk.reader import vmdk_reader
from agent.images.vmdk.tables import read_directory, survey
from agent.images.vmdk.walk import walk
from tests.ova_samples import DESCRIPTOR, GRAIN, marker, stream_optimised, vmdk
from tests.small_images import MIB, sparse_pattern, tool
from tests.unit.test_images_common import HeldBytes

SIZE = 70 * MIB + 512 * 77
CONTENT = sparse_pattern(5 * MIB, 4).ljust(64 * MIB, b"\0") + sparse_pattern(6 * MIB + 512 * 77, 5)
KINDS = ("streamOptimized", "monolithicSparse")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    raw = tmp_path_factory.mktemp("vmdk") / "image.raw"
    raw.write_bytes(CONTENT)
    made = {kind: vmdk(raw, kind).read_bytes() for kind in KINDS}
    return made | {"with a footer": stream_optimised(CONTENT)}


FORMS = [*KINDS, "with a footer"]


@pytest.fixture(params=FORMS)
def data(request: pytest.FixtureRequest, files: dict[str, bytes]) -> bytes:
    return files[request.param]


def poured(pieces: Iterator[Piece], size: int) -> bytes:
    content, seen = bytearray(b"?" * size), 0
    for piece in pieces:
        seen += piece.length
        for part in (piece,) if isinstance(piece, ZeroPiece) else piece.runs():
            found = bytes(part.length) if isinstance(part, ZeroPiece) else b"".join(part.buffers)
            content[part.offset : part.offset + part.length] = found
        if not isinstance(piece, ZeroPiece):
            piece.done()
    assert seen == size
    return bytes(content)


def test_everything_reads_as_it_was(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "judge.vmdk"
    path.write_bytes(data)
    tool("qemu-img", "convert", "-f", "vmdk", "-O", "raw", path, tmp_path / "judge.raw")
    judged = (tmp_path / "judge.raw").read_bytes()
    assert judged == CONTENT
    with Spool() as spool:
        spool.append(data)
        header = read_header(spool)
        assert header.capacity == SIZE
        assert 0 < survey(header, spool) < 12 * MIB
        reader, chance = vmdk_reader(header, spool), random.Random(6)
        assert reader.size == SIZE
        for _ in range(100):
            offset = chance.randrange(SIZE)
            length = min(chance.choice((1, 512, 300_000)), SIZE - offset)
            assert reader.pread(length, offset) == CONTENT[offset : offset + length]
        with pytest.raises(EOFError):
            reader.pread(2, SIZE - 1)
        assert poured(walk(header, spool), SIZE) == CONTENT


def arriving(data: bytes, *, window: int, chunk: int) -> bytes:
    """What is written of a file that comes in chunks, through a small window."""
    with StreamSpool(window) as spool:

        def come() -> None:
            with contextlib.suppress(Stopped):
                spool.announce(len(data))
                for at in range(0, len(data), chunk):
                    spool.append(data[at : at + chunk])
                spool.finish()

        thread = threading.Thread(target=come, daemon=True)
        thread.start()
        header = read_first_header(spool)
        content = poured(arriving_pieces(header, spool), header.capacity)
        thread.join(10)
        # Nothing of the grains; what is behind the end marker is nobody's.
        assert spool.most_held < 32 << 10
    return content


@pytest.mark.parametrize("form", ["streamOptimized", "with a footer"])
@pytest.mark.parametrize("chunk", [1 << 20, 65_537])
def test_a_file_that_is_on_its_way(files: dict[str, bytes], form: str, chunk: int) -> None:
    assert arriving(files[form], window=5 * MIB, chunk=chunk) == CONTENT


@pytest.mark.parametrize("form", ["streamOptimized", "with a footer"])
def test_looking_at_a_file_that_is_on_its_way(files: dict[str, bytes], form: str) -> None:
    data = files[form]
    with StreamSpool(64 * MIB) as spool:
        spool.announce(len(data))
        spool.append(data)
        spool.finish()
        header, chance = read_first_header(spool), random.Random(7)
        reader = arriving_reader(header, spool)
        for _ in range(50):
            offset = chance.randrange(SIZE)
            length = min(chance.choice((1, 512, 300_000)), SIZE - offset)
            assert reader.pread(length, offset) == CONTENT[offset : offset + length]


def test_entries_for_what_is_beyond_the_end_of_the_disk(files: dict[str, bytes]) -> None:
    """A table has as many entries as any other, also where the disk ends within what it maps."""
    data = bytearray(files["streamOptimized"])
    (directory,) = struct.unpack_from("<Q", data, 56)
    (table,) = struct.unpack_from("<I", data, directory * 512 + 4 * (SIZE // (GRAIN * 512)))
    struct.pack_into("<I", data, table * 512 + 511 * 4, 4711)
    with Spool() as spool:
        spool.append(bytes(data))
        header = read_header(spool)
        assert poured(walk(header, spool), SIZE) == CONTENT
    assert arriving(bytes(data), window=5 * MIB, chunk=1 << 20) == CONTENT


def test_looking_waits_for_no_more_than_it_needs(files: dict[str, bytes]) -> None:
    with StreamSpool(3 * MIB) as spool:
        data = files["with a footer"]
        spool.announce(len(data))
        spool.append(data[: 3 * MIB])

        def come() -> None:
            with contextlib.suppress(Stopped):
                spool.append(data[3 * MIB :])

        threading.Thread(target=come, daemon=True).start()
        reader = arriving_reader(read_first_header(spool), spool)
        assert reader.pread(1000, 512) == CONTENT[512:1512]
        for _ in range(2):  # what has not come is not zero the next time either
            with pytest.raises(TooBigForMemory):
                reader.pread(1000, SIZE - 1000)
        with pytest.raises(TooBigForMemory):
            reader.pread(1000, SIZE - MIB)
        assert reader.pread(1000, 512) == CONTENT[512:1512]


def refused_on_its_way(data: bytes, why: str) -> None:
    with pytest.raises(BadFormat) as caught:
        arriving(data, window=64 * MIB, chunk=1 << 20)
    assert why in caught.value.detail


def test_grains_out_of_order_on_their_way(files: dict[str, bytes]) -> None:
    data = bytearray(files["with a footer"])
    (size,) = struct.unpack_from("<I", data, GRAIN + 8)
    second = GRAIN + -(-(12 + size) // 512) * 512
    (sector,) = struct.unpack_from("<Q", data, second)
    for other in (0, 1, (SIZE // GRAIN + 1) * 128, 1 << 62):
        struct.pack_into("<Q", data, second, other)
        refused_on_its_way(bytes(data), "comes late or twice" if other == 0 else "has no place on the disk")
    struct.pack_into("<Q", data, second, sector)
    struct.pack_into("<I", data, second + 8, 3 * GRAIN)
    refused_on_its_way(bytes(data), "has no place on the disk")


def test_a_grain_that_is_longer_than_its_marker_says(files: dict[str, bytes]) -> None:
    data = bytearray(files["with a footer"])
    (size,) = struct.unpack_from("<I", data, GRAIN + 8)
    # In the same number of sectors, so that whatever follows is found.
    shorter = (size + 12 - 1) // 512 * 512 - 12 + 1
    assert shorter < size - 8
    struct.pack_into("<I", data, GRAIN + 8, shorter)
    refused_on_its_way(bytes(data), "a grain can not be unpacked")
    with Spool() as spool:
        spool.append(bytes(data))
        header = read_header(spool)
        with pytest.raises(BadFormat, match="a grain can not be unpacked"):
            poured(walk(header, spool), SIZE)


def test_markers_that_can_not_be(files: dict[str, bytes]) -> None:
    data = files["with a footer"]
    table = data.index(marker(4, 1))
    refused_on_its_way(data[:table] + marker(4, 7) + data[table + 512 :], "a marker of the kind 7")
    refused_on_its_way(data[:table] + marker(1 << 50, 1) + data[table + 512 :], "a marker of the kind 1")


def test_tables_that_do_not_name_the_grains_that_came(files: dict[str, bytes]) -> None:
    """They are two disks: one for who has the whole file, and one for who reads it on the way."""
    for form in ("streamOptimized", "with a footer"):
        data = bytearray(files[form])
        with Spool() as spool:
            spool.append(bytes(data))
            header = read_header(spool)
            table = read_directory(header, spool)[0] * 512
        entries = struct.unpack_from("<512I", data, table)
        named = next(index for index, entry in enumerate(entries) if entry > 1)
        for entry in (0, 1, entries[named] + 1):
            struct.pack_into("<I", data, table + 4 * named, entry)
            refused_on_its_way(bytes(data), "its tables do not name the grains that are in it")


@contextlib.contextmanager
def coming(data: bytes, window: int) -> Iterator[StreamSpool]:
    """A file that comes through a window while it is read."""
    with StreamSpool(window) as spool:

        def come() -> None:
            with contextlib.suppress(Stopped):
                spool.announce(len(data))
                for at in range(0, len(data), 100_000):
                    spool.append(data[at : at + 100_000])
                spool.finish()

        threading.Thread(target=come, daemon=True).start()
        yield spool


def opened_on_its_way(data: bytes, window: int = 12 * MIB) -> Image:
    """The disk as it is looked at before anything is written."""
    with coming(data, window) as spool:
        return arriving_ova_image(spool, Member(name="disk.vmdk", start=0, size=len(data)))


def test_what_is_ahead_of_the_disk_takes_no_room(files: dict[str, bytes]) -> None:
    disk, ahead = files["streamOptimized"], 7 * MIB
    with coming(bytes(ahead) + disk, 8 * MIB) as spool:
        image = arriving_ova_image(spool, Member(name="disk.vmdk", start=ahead, size=len(disk)))
        assert poured(image.pieces(), SIZE) == CONTENT


def test_tables_behind_the_grains_that_are_named_in_front(files: dict[str, bytes]) -> None:
    """To compare with them is too late when they come: the disk would have been written to by then."""
    data = files["streamOptimized"]
    assert opened_on_its_way(data).virtual_size == SIZE
    header = read_first_header(HeldBytes(data))
    for index, sector in enumerate(read_directory(header, HeldBytes(data))):
        moved = bytearray(data).ljust(-(-len(data) // 512) * 512, b"\0")
        struct.pack_into("<I", moved, header.directory + 4 * index, len(moved) // 512)
        moved += data[sector * 512 : sector * 512 + 2048]
        survey(header, HeldBytes(bytes(moved)))
        with pytest.raises(Refused) as caught:
            opened_on_its_way(bytes(moved))
        assert "has to be there as a whole" in caught.value.detail
    within = bytearray(data)
    struct.pack_into("<I", within, header.directory, header.first_grain // 512 - 1)
    with pytest.raises(Refused):
        opened_on_its_way(bytes(within))


def test_a_directory_that_reaches_into_the_grains(files: dict[str, bytes]) -> None:
    data = bytearray(files["streamOptimized"])
    (grains,) = struct.unpack_from("<Q", data, 64)
    for entries, directory in ((1, grains - 1), (512, grains)):
        struct.pack_into("<I", data, 44, entries)
        struct.pack_into("<Q", data, 56, directory)
        with pytest.raises(Refused):
            opened_on_its_way(bytes(data))


def test_a_table_that_two_places_name_on_its_way(files: dict[str, bytes]) -> None:
    data = bytearray(files["streamOptimized"])
    (directory,) = struct.unpack_from("<Q", data, 56)
    data[directory * 512 + 4 : directory * 512 + 8] = data[directory * 512 : directory * 512 + 4]
    with pytest.raises(BadFormat, match="one grain table for two places"):
        opened_on_its_way(bytes(data))


@pytest.mark.parametrize("form", ["streamOptimized", "with a footer"])
def test_more_ahead_of_the_grains_than_there_is_room_for(files: dict[str, bytes], form: str) -> None:
    """It has to be known before the disk is written to."""
    data = bytearray(files[form]) + bytes(8 * MIB)
    struct.pack_into("<Q", data, 64, 10 * MIB // 512)
    with pytest.raises(TooBigForMemory):
        opened_on_its_way(bytes(data), window=4 * MIB)


def test_a_footer_that_does_not_fit(files: dict[str, bytes]) -> None:
    whole = files["with a footer"]
    footer = len(whole) - 1024
    for offset, value in ((12, SIZE // 512 + 128), (20, 64), (44, 256)):
        data = bytearray(whole)
        struct.pack_into("<I", data, footer + offset, value)
        refused_on_its_way(bytes(data), "its footer does not fit its header")
        refused(bytes(data), "its footer does not fit its header")
    refused_on_its_way(whole + bytes(512), "its footer does not fit its header")
    data = bytearray(whole)
    (directory,) = struct.unpack_from("<Q", data, footer + 56)
    struct.pack_into("<Q", data, footer + 56, directory + 1)
    refused_on_its_way(bytes(data), "its footer does not say where its tables are")
    refused_on_its_way(whole[: footer - 512] + marker(0, 0), "its footer does not say where its tables are")


def test_directories_that_can_not_be(files: dict[str, bytes]) -> None:
    whole = files["with a footer"]
    (directory,) = struct.unpack_from("<Q", whole, len(whole) - 1024 + 56)
    tables = list(struct.unpack_from("<2I", whole, directory * 512))
    for changed, why in (
        ([tables[0] + 1, tables[1]], "there is no grain table in sector"),
        ([tables[0], tables[0]], "names one grain table for two places"),
        ([0, tables[1]], "its tables do not name the grains"),
    ):
        data = bytearray(whole)
        struct.pack_into("<2I", data, directory * 512, *changed)
        refused_on_its_way(bytes(data), why)
    more = whole.index(marker(4, 1))
    table = whole[more : more + 5 * 512]
    refused_on_its_way(whole[:more] + table * 3 + whole[more:], "more grain tables than its disk needs")


def test_a_file_on_its_way_that_was_cut_short(files: dict[str, bytes]) -> None:
    for data in (files["streamOptimized"], files["with a footer"]):
        grains: list[int] = []
        with Spool() as spool:
            spool.append(data)
            for found in read_markers(read_first_header(spool), spool):
                grains += [found.host, found.host_end] if isinstance(found, Extent) else []
        # Also where the cut is between two grains.
        for length in (grains[-1] - 600, grains[-2], grains[-2] + 5, grains[4], 70_000, grains[0]):
            refused_on_its_way(data[:length], "cut short")


def refused(data: bytes, why: str) -> None:
    file = HeldBytes(data)
    with pytest.raises(BadFormat) as caught:
        survey(read_header(file), file)
    assert why in caught.value.detail


@pytest.mark.parametrize(
    ("offset", "value", "why"),
    [
        (4, 9, "its version is 9"),
        (12, 0, "names a size of 0 sectors"),
        (20, 127, "names grains of 127 sectors"),
        (20, 1, "names grains of 1 sectors"),
        (44, 0, "names 0 grains for a table"),
        (36, 1 << 40, "names a descriptor of"),
        (73, 0x20202020, "line ends were changed on the way"),
    ],
)
def test_headers_that_can_not_be(files: dict[str, bytes], offset: int, value: int, why: str) -> None:
    data = bytearray(files["streamOptimized"])
    struct.pack_into("<I" if offset in (4, 44, 73) else "<Q", data, offset, value)
    refused(bytes(data), why)


def test_an_unknown_compression(files: dict[str, bytes]) -> None:
    data = bytearray(files["streamOptimized"])
    struct.pack_into("<H", data, 77, 2)
    refused(bytes(data), "names the compression 2")


def test_a_file_that_was_cut_short(files: dict[str, bytes]) -> None:
    for kind in KINDS:
        refused(files[kind][:-MIB], "The VMDK file was cut short")
    refused(files["with a footer"][:-512], "a header is missing")
    refused(files["with a footer"][:300], "The VMDK file was cut short")


def test_a_footer_that_says_nothing(files: dict[str, bytes]) -> None:
    data = bytearray(files["with a footer"])
    data[-1024:-512] = data[:512]
    refused(bytes(data), "its footer does not say where its tables are")


@pytest.mark.parametrize(
    "line", [b"parentCID=0123abcd", b'parentCID="0123abcd"', b'parentFileNameHint="/etc/passwd"']
)
def test_a_disk_with_a_parent(line: bytes) -> None:
    descriptor = DESCRIPTOR.replace(b"parentCID=ffffffff", line)
    for data in (stream_optimised(bytes(MIB), descriptor=descriptor), with_hidden_descriptor(line)):
        with pytest.raises(UnsafeImage, match="its disk has a parent"):
            read_header(HeldBytes(data))


@pytest.mark.parametrize("text", [b"\n", b" ", b"parentCID \n", b"parentCID=\t"])
def test_a_descriptor_that_looks_like_a_parent_again_and_again(text: bytes) -> None:
    descriptor = (text * (MIB // 4))[: MIB // 4]
    began = time.monotonic()
    assert read_header(HeldBytes(stream_optimised(bytes(MIB), descriptor=descriptor))).capacity == MIB
    assert time.monotonic() - began < 20


def with_hidden_descriptor(line: bytes) -> bytes:
    """The header names a harmless descriptor, and QEMU looks where it always does."""
    data = bytearray(stream_optimised(bytes(MIB)).ljust(4096, b"\0"))
    data[2048 : 2048 + len(DESCRIPTOR)] = DESCRIPTOR
    struct.pack_into("<Q", data, 28, 4)
    data[512:1024] = line.ljust(512, b"\n")
    return bytes(data)


def test_a_grain_that_belongs_elsewhere(files: dict[str, bytes]) -> None:
    data = bytearray(files["with a footer"])
    first = struct.unpack_from("<Q", data, 65536)[0]
    struct.pack_into("<Q", data, 65536, first + 128)
    why = f"where the grain for byte {first * 512} of the disk should be, there is something else"
    refused(bytes(data), why)


def test_a_grain_that_unpacks_to_less_than_its_place() -> None:
    data = bytearray(stream_optimised(b"a" * 65536 + b"b" * 65536 + b"c" * 4096))
    packed = zlib.compress(b"a" * 4096)
    data[65536 + 8 : 65536 + 12 + len(packed)] = struct.pack("<I", len(packed)) + packed
    with Spool() as spool:
        spool.append(bytes(data))
        header = read_header(spool)
        with pytest.raises(BadFormat, match="packed data in it is too short"):
            vmdk_reader(header, spool).pread(65536, 0)
        with pytest.raises(BadFormat, match="packed data in it is too short"):
            poured(walk(header, spool), header.capacity)


def test_a_table_that_two_places_name(files: dict[str, bytes]) -> None:
    data = bytearray(files["with a footer"])
    directory = struct.unpack_from("<Q", data, len(data) - 1024 + 56)[0] * 512
    data[directory + 4 : directory + 8] = data[directory : directory + 4]
    refused(bytes(data), "names one grain table for two places of the disk")


def test_a_grain_that_can_not_be_unpacked(files: dict[str, bytes]) -> None:
    data = bytearray(files["with a footer"])
    data[65536 + 12 : 65536 + 60] = b"\xff" * 48
    with Spool() as spool:
        spool.append(bytes(data))
        with pytest.raises(BadFormat, match="a grain can not be unpacked"):
            header = read_header(spool)
            poured(walk(header, spool), header.capacity)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_whatever_the_file_holds(small: dict[str, bytes], data: st.DataObject) -> None:
    content = bytearray(small[data.draw(st.sampled_from(FORMS))])
    places = st.integers(0, 100) | st.integers(0, 4096) | st.integers(len(content) - 5000, len(content) - 1)
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(places)
        piece = data.draw(st.binary(min_size=1, max_size=9))[: len(content) - at]
        content[at : at + len(piece)] = piece
    with Spool() as spool:
        spool.append(bytes(content))
        try:
            header = read_header(spool)
            if header.capacity < 8 * MIB:
                assert survey(header, spool) <= header.capacity
                poured(walk(header, spool), header.capacity)
        except (BadFormat, UnsafeImage, ReadAgain) as error:
            assert error.hint


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    raw = tmp_path_factory.mktemp("small") / "image.raw"
    raw.write_bytes(sparse_pattern(600_064, 4))
    made = {kind: vmdk(raw, kind).read_bytes() for kind in KINDS}
    return made | {"with a footer": stream_optimised(raw.read_bytes())}
