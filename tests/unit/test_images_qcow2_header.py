import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.fetch.downloaded import FIRST_BYTES
from agent.images.errors import BadFormat, UnsafeImage
from agent.images.first_bytes import check_first_bytes
from agent.images.qcow2.header import Compression, Incompatible, Qcow2Header, parse, refuse_unsafe
from agent.request.model import ImageType
from tests.small_images import tool

SIZE = 64 << 20
BACKING_FILE, CLUSTER_BITS, VIRTUAL_SIZE, ENCRYPTION, L1_SIZE, SNAPSHOTS, FEATURES, LENGTH = (
    8,
    20,
    24,
    32,
    36,
    60,
    72,
    100,
)


def made(folder: Path, *options: str) -> bytes:
    """The first bytes of an image that qemu-img has made."""
    path = folder / "image.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", *options, path, str(SIZE))
    return path.read_bytes()[:FIRST_BYTES]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made(tmp_path_factory.mktemp("qcow2"))


def changed(first: bytes, offset: int, data: bytes) -> bytes:
    return first[:offset] + data + first[offset + len(data) :]


@pytest.mark.parametrize(
    ("options", "version", "cluster_bits", "incompatible"),
    [
        ("compat=1.1", 3, 16, 0),
        ("compat=0.10", 2, 16, 0),
        ("cluster_size=512", 3, 9, 0),
        ("cluster_size=2M", 3, 21, 0),
        ("compression_type=zstd", 3, 16, Incompatible.COMPRESSION_TYPE),
        ("extended_l2=on", 3, 16, Incompatible.EXTENDED_L2),
        ("lazy_refcounts=on", 3, 16, 0),
    ],
)
def test_images_that_qemu_img_makes(
    tmp_path: Path, options: str, version: int, cluster_bits: int, incompatible: int
) -> None:
    first = made(tmp_path, "-o", options)
    header = parse(first)
    assert (header.version, header.cluster_bits, header.virtual_size) == (version, cluster_bits, SIZE)
    assert (header.backing_file_offset, header.encryption) == (0, 0)
    assert header.incompatible == incompatible
    refuse_unsafe(header)
    assert check_first_bytes(first, ImageType.QCOW2) == SIZE


def refused(first: bytes, why: str, hint: str) -> None:
    with pytest.raises(UnsafeImage) as caught:
        check_first_bytes(first, ImageType.QCOW2)
    assert caught.value.message == f"The image can not be used: {why}."
    assert hint in caught.value.hint


def test_a_backing_file(tmp_path: Path, first: bytes) -> None:
    named = changed(first, BACKING_FILE, struct.pack(">QI", 512, 0))
    refused(named, "it has a backing file", "qemu-img convert")
    (tmp_path / "base").touch()
    first = made(tmp_path, "-b", str(tmp_path / "base"), "-F", "raw")
    refused(first, "it has a backing file", "qemu-img convert")


def test_an_external_data_file(tmp_path: Path, first: bytes) -> None:
    external = made(tmp_path, "-o", f"data_file={tmp_path / 'data'}")
    refused(external, "its data is in another file", "qemu-img convert")
    # Either of the two marks is enough: the feature bit, and the name in an extension.
    refused(changed(first, FEATURES, struct.pack(">Q", 4)), "its data is in another file", "qemu-img convert")
    refused(changed(external, FEATURES, bytes(8)), "its data is in another file", "qemu-img convert")


@pytest.mark.parametrize("method", [1, 2])
def test_encryption(first: bytes, method: int) -> None:
    refused(changed(first, ENCRYPTION, struct.pack(">I", method)), "it is encrypted", "a sum instead")


def test_the_extension_of_encryption(first: bytes) -> None:
    refused(changed(first, 112, struct.pack(">II", 0x0537BE77, 16)), "it is encrypted", "a sum instead")


@pytest.mark.parametrize("bit", range(5, 64))
def test_features_that_are_not_known(first: bytes, bit: int) -> None:
    marked = changed(first, FEATURES, struct.pack(">Q", 1 << bit))
    refused(marked, f"it uses features that are not known (bits {1 << bit:#x})", "qemu-img")


def test_an_image_that_is_marked_corrupt(first: bytes) -> None:
    refused(changed(first, FEATURES, struct.pack(">Q", 2)), "it is marked corrupt", "qemu-img check")


def test_a_few_snapshots(first: bytes) -> None:
    assert check_first_bytes(changed(first, SNAPSHOTS, struct.pack(">I", 256)), ImageType.QCOW2) == SIZE


def test_an_image_that_was_not_closed(first: bytes) -> None:
    assert check_first_bytes(changed(first, FEATURES, struct.pack(">Q", 1)), ImageType.QCOW2) == SIZE


@pytest.mark.parametrize(
    ("offset", "data", "why"),
    [
        (4, struct.pack(">I", 1), "version 1;"),
        (4, struct.pack(">I", 4), "version 4;"),
        (CLUSTER_BITS, struct.pack(">I", 8), "clusters of 2^8 bytes"),
        (CLUSTER_BITS, struct.pack(">I", 22), "clusters of 2^22 bytes"),
        (CLUSTER_BITS, struct.pack(">I", 0xFFFFFFFF), "clusters of 2^4294967295 bytes"),
        (SNAPSHOTS, struct.pack(">I", 257), "257 internal snapshots"),
        (SNAPSHOTS, struct.pack(">I", 65536), "65536 internal snapshots"),
        (VIRTUAL_SIZE, struct.pack(">Q", 0), "a size of 0 bytes"),
        (VIRTUAL_SIZE, struct.pack(">Q", (1 << 60) + 1), "a size of"),
        (VIRTUAL_SIZE, b"\xff" * 8, "a size of 18446744073709551615 bytes"),
        (LENGTH, struct.pack(">I", 96), "it is 96 bytes long"),
        (LENGTH, struct.pack(">I", 107), "it is 107 bytes long"),
    ],
)
def test_headers_that_can_not_be(first: bytes, offset: int, data: bytes, why: str) -> None:
    with pytest.raises(BadFormat) as caught:
        check_first_bytes(changed(first, offset, data), ImageType.QCOW2)
    assert why in caught.value.detail


@pytest.mark.parametrize("length", [4, 71, 72, 103])
def test_a_file_that_ends_within_the_header(first: bytes, length: int) -> None:
    with pytest.raises(BadFormat, match=f"ends within the qcow2 header, after {length} bytes"):
        check_first_bytes(first[:length], ImageType.QCOW2)


def test_a_file_that_ends_with_the_header(tmp_path: Path, first: bytes) -> None:
    assert parse(first[:104]).virtual_size == SIZE
    assert parse(made(tmp_path, "-o", "compat=0.10")[:72]).virtual_size == SIZE


def test_extensions_end_where_they_say_or_where_the_cluster_does(first: bytes) -> None:
    end = struct.pack(">II", 0, 0)
    data_file = struct.pack(">II", 0x44415441, 4) + b"name" + bytes(4)
    unknown = struct.pack(">II", 0x12345678, 5) + bytes(8)
    assert parse(changed(first, 112, unknown + data_file + end)).extensions == {0x12345678, 0x44415441}
    assert parse(changed(first, 112, unknown + end + data_file)).extensions == {0x12345678}
    small = changed(changed(first, CLUSTER_BITS, struct.pack(">I", 9)), L1_SIZE, struct.pack(">I", 2048))
    up_to_the_end = struct.pack(">II", 0x12345678, 512 - 112 - 8)
    beyond = changed(changed(small, 112, up_to_the_end), 512, data_file)
    assert parse(beyond).extensions == {0x12345678}
    assert parse(changed(beyond, CLUSTER_BITS, struct.pack(">I", 10))).extensions == {0x12345678, 0x44415441}


MUTATIONS = st.lists(st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=8)), max_size=4)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_whatever_the_bytes_are(first: bytes, data: st.DataObject) -> None:
    content = data.draw(
        st.just(first) | st.binary(max_size=300) | st.binary(max_size=300).map(b"QFI\xfb".__add__)
    )
    for offset, piece in data.draw(MUTATIONS):
        content = changed(content, offset, piece)
    content = content[: data.draw(st.integers(0, 300) | st.just(FIRST_BYTES))]
    try:
        header = parse(content)
        refuse_unsafe(header)
    except (BadFormat, UnsafeImage) as error:
        assert error.detail not in ("", error.message)
        assert error.hint
    else:
        assert isinstance(header, Qcow2Header)
        assert 0 < header.virtual_size <= 1 << 60
        assert (header.backing_file_offset, header.encryption, header.incompatible & ~0b11001) == (0, 0, 0)


@pytest.mark.parametrize("entries", [0, (32 << 20) // 8 + 1])
def test_an_l1_table_that_can_not_be(first: bytes, entries: int) -> None:
    with pytest.raises(BadFormat, match=f"names {entries} L1 entries, which can not be"):
        parse(changed(first, L1_SIZE, struct.pack(">I", entries)))


COMPRESSION = 104


def test_the_compression_that_the_header_names(tmp_path: Path, first: bytes) -> None:
    assert parse(first).compression is Compression.ZLIB
    zstd = made(tmp_path, "-o", "compression_type=zstd")
    assert parse(zstd).compression is Compression.ZSTD
    for wrong in (
        changed(zstd, COMPRESSION, b"\0"),
        changed(zstd, COMPRESSION, b"\2"),
        changed(first, COMPRESSION, b"\1"),
    ):
        with pytest.raises(BadFormat, match="names a compression"):
            parse(wrong)


def test_clusters_too_small_for_subclusters(tmp_path: Path) -> None:
    extended = made(tmp_path, "-o", "extended_l2=on,cluster_size=16k")
    assert parse(extended).has_subclusters
    with pytest.raises(BadFormat, match=r"names clusters of 2\^13 bytes"):
        parse(changed(extended, CLUSTER_BITS, struct.pack(">I", 13)))
