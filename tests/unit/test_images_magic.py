import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.fetch.downloaded import FIRST_BYTES
from agent.images.errors import BadFormat
from agent.images.first_bytes import check_first_bytes
from agent.images.magic import has_boot_signature, is_qcow2, recognise
from agent.request.model import ImageType
from tests.unit.test_images_common import tiny_image

KINDS = [
    (b"QFI\xfb\0\0\0\3", "a qcow2 image"),
    (b"KDMV\1\0\0\0", "a VMDK image"),
    (b"COWD\1\0\0\0", "a VMDK image"),
    (b"# Disk DescriptorFile\nversion=1\n", "a VMDK descriptor"),
    (b"vhdxfile" + bytes(8), "a VHDX image"),
    (b"conectix" + bytes(8), "a VHD image"),
    (b"LUKS\xba\xbe\0\2", "an encrypted (LUKS) volume"),
    (b"\x1f\x8b\x08\0", "a gzip file"),
    (b"\xfd7zXZ\0\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd\0", "a zstd file"),
    (b"BZh91AY", "a bzip2 file"),
    (b"PK\3\4\0", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c\0", "a 7z archive"),
    (b"<?xml version='1.0'?>", "an XML document"),
    (b"<<< Oracle VM VirtualBox Disk Image >>>".ljust(64, b"\0") + b"\x7f\x10\xda\xbe", "a VDI image"),
    (b"box.ovf".ljust(257, b"\0") + b"ustar\x0000", "a tar archive (an OVA is one)"),
    (b"<!DOCTYPE HTML>\n<p>", "an HTML page"),
    (b"\xef\xbb\xbf \r\n<html>", "an HTML page"),
    (b"<head>", "an HTML page"),
    (b'{"error": "no such image"}\n', "a text file"),
    ("Zugriff für Sie verweigert: leider\n".encode(), "a text file"),
    (b"", "an empty file"),
]


def named(first: bytes) -> str | None:
    kind = recognise(first)
    return None if kind is None else kind.name


@pytest.mark.parametrize(("first", "name"), KINDS, ids=[name for _, name in KINDS])
def test_what_a_file_is(first: bytes, name: str) -> None:
    assert named(first) == name
    text = name in ("a text file", "an empty file")
    assert named(first + bytes(FIRST_BYTES)) == (None if text else name)


@pytest.mark.parametrize("first", [bytes(512), tiny_image()[:512], b"\x7fELF" + bytes(60), b"text\0"])
def test_what_is_none_of_them(first: bytes) -> None:
    assert recognise(first) is None


@pytest.mark.parametrize(("first", "name"), KINDS, ids=[name for _, name in KINDS])
def test_nothing_of_that_kind_is_raw(first: bytes, name: str) -> None:
    signed = first.ljust(510, b" ")[:510] + b"\x55\xaa" if first else first
    with pytest.raises(BadFormat) as caught:
        check_first_bytes(signed, ImageType.RAW)
    assert caught.value.message == "Bad format image, expected : qcow2, raw."
    assert caught.value.detail == f"The type says raw; the file is {name}."


@pytest.mark.parametrize(
    ("first", "image_type", "hint"),
    [
        (
            b"\x1f\x8b\x08\0",
            ImageType.QCOW2,
            "If a raw image is in it, set type to raw: that is unpacked on the way. Else: Unpack it, ",
        ),
        (b"QFI\xfb\0\0\0\3", ImageType.RAW, "Set type to qcow2."),
        (tiny_image()[:FIRST_BYTES], ImageType.QCOW2, "Set type to raw."),
        (b"<html>", ImageType.QCOW2, "Open the URL: "),
        (b"KDMV\1\0\0\0", ImageType.RAW, "Convert it "),
        (bytes(512), ImageType.RAW, "Publish the image of a whole disk "),
        (b"QFI\xfb\0\0\0\3", ImageType.QCOW2, "Compare the file's size and sum "),
        (bytes(512), ImageType.QCOW2, "Look at what the URL really delivers"),
    ],
)
def test_what_to_do_about_it(first: bytes, image_type: ImageType, hint: str) -> None:
    with pytest.raises(BadFormat) as caught:
        check_first_bytes(first, image_type)
    assert caught.value.hint.startswith(hint)


def test_raw_has_a_boot_signature() -> None:
    assert has_boot_signature(tiny_image())
    assert check_first_bytes(tiny_image()[:FIRST_BYTES], ImageType.RAW) is None
    for first in (bytes(512), tiny_image()[:511], bytes(4096)):
        assert not has_boot_signature(first)
        with pytest.raises(BadFormat, match="55 AA"):
            check_first_bytes(first, ImageType.RAW)


@pytest.mark.parametrize(("first", "name"), KINDS[1:], ids=[name for _, name in KINDS[1:]])
def test_nothing_else_is_qcow2(first: bytes, name: str) -> None:
    assert not is_qcow2(first)
    with pytest.raises(BadFormat) as caught:
        check_first_bytes(first, ImageType.QCOW2)
    assert caught.value.detail == f"The type says qcow2; the file is {name}."


def test_what_nobody_knows_is_not_qcow2() -> None:
    with pytest.raises(BadFormat, match="something else, of an unknown kind"):
        check_first_bytes(bytes(512), ImageType.QCOW2)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=600) | st.text(max_size=100).map(str.encode))
def test_nothing_makes_it_fail(first: bytes) -> None:
    kind = recognise(first)
    assert kind is None or (kind.name and kind.hint.endswith("."))
