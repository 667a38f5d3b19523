import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.fetch.spool import Spool
from agent.images import extent_reader, qemu_img
from agent.images.errors import BadFormat, ImageLargerThanDisk, NoUsableTable, UnsafeImage
from agent.images.image import padded
from agent.images.inspect import Contents, look_inside, require_fit
from agent.images.open_image import open_image
from agent.images.view import View
from agent.request.model import ImageType
from configdrive.iso import build_iso
from partitioning.command import CommandFailed, CommandTimedOut, OutputTooLong
from partitioning.errors import ExplainedError
from partitioning.table import TableKind
from tests.small_images import qcow2
from tests.table_samples import ESP, Part, gpt_disk, mbr
from tests.unit.test_images_common import MIB, image_of, tiny_image

GPT = gpt_disk(2048, [Part(40, 99, ESP), Part(100, 1999)], boot_code=b"code")
MBR = tiny_image(MIB)


def with_records(sectors: int, records: dict[int, bytes]) -> bytes:
    """An image with these boot records at these sectors."""
    data = bytearray(sectors * 512)
    for lba, record in records.items():
        data[lba * 512 : lba * 512 + 512] = record
    return bytes(data)


LOGICAL = with_records(
    1512,
    {
        0: mbr([(0, 0x83, 64, 200), (0, 0x05, 512, 1000)], boot_code=b"code"),
        512: mbr([(0, 0x83, 8, 100), (0, 0x05, 300, 200)]),
        812: mbr([(0, 0x83, 8, 100)]),
    },
)


@pytest.fixture
def spool() -> Iterator[Spool]:
    with Spool() as opened:
        yield opened


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    raw = tmp_path_factory.mktemp("inspect") / "image.raw"
    raw.write_bytes(tiny_image())
    return qcow2(raw, "-c").read_bytes()


def test_a_raw_image(spool: Spool) -> None:
    spool.append(tiny_image())
    image = open_image(spool, ImageType.RAW)
    assert (image.type, image.file_size, image.virtual_size) == ("raw", 2 * MIB, 2 * MIB)
    assert image.view == View(fd=spool.fd, format="raw")
    assert image.reader.pread(2 * MIB, 0) == tiny_image()


def test_a_raw_image_that_ends_within_a_sector(spool: Spool) -> None:
    spool.append(tiny_image() + b"tail")
    image = open_image(spool, ImageType.RAW)
    assert image.virtual_size == 2 * MIB + 512
    assert image.reader.pread(512, 2 * MIB) == b"tail" + bytes(508)
    assert os.pread(spool.fd, 1024, 2 * MIB) == b"tail" + bytes(508)
    assert [padded(size) for size in (0, 1, 512, 513)] == [0, 512, 512, 1024]


def test_a_qcow2_image(spool: Spool, compressed: bytes) -> None:
    spool.append(compressed)
    image = open_image(spool, ImageType.QCOW2)
    assert (image.type, image.file_size, image.virtual_size) == ("qcow2", len(compressed), 2 * MIB)
    assert image.reader.pread(2 * MIB, 0) == tiny_image()


def test_a_qcow2_image_that_was_cut_short(spool: Spool, compressed: bytes) -> None:
    spool.append(compressed[:-MIB])
    with pytest.raises(BadFormat) as caught:
        open_image(spool, ImageType.QCOW2)
    assert "damaged or was cut short" in caught.value.detail


@pytest.mark.parametrize(
    "facts", [{"backing-filename": "/etc/passwd"}, {"encrypted": True}], ids=["backing file", "encryption"]
)
def test_what_only_qemu_img_finds(
    spool: Spool, compressed: bytes, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any]
) -> None:
    spool.append(compressed)
    monkeypatch.setattr(qemu_img, "info", lambda *_: {"virtual-size": 1} | facts)
    with pytest.raises(UnsafeImage, match="it is not complete in itself"):
        open_image(spool, ImageType.QCOW2)


@pytest.mark.parametrize("report", [{"corruptions": 3}, {"check-errors": 1}])
def test_what_qemu_img_finds_damaged(
    spool: Spool, compressed: bytes, monkeypatch: pytest.MonkeyPatch, report: dict[str, int]
) -> None:
    spool.append(compressed)
    monkeypatch.setattr(qemu_img, "check", lambda *_: report)
    with pytest.raises(BadFormat):
        open_image(spool, ImageType.QCOW2)


def test_clusters_that_are_leaked_do_no_harm(
    spool: Spool, compressed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.append(compressed)
    monkeypatch.setattr(qemu_img, "check", lambda *_: {"leaks": 5, "check-errors": 0})
    assert open_image(spool, ImageType.QCOW2).virtual_size == 2 * MIB


@pytest.mark.parametrize("call", ["info", "check"])
def test_what_qemu_img_can_not_read(
    spool: Spool, compressed: bytes, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> dict[str, Any]:
        raise CommandFailed("m", detail="d", hint="h", code=1, stderr="Image is corrupt")

    def hang(*_: object) -> dict[str, Any]:
        raise CommandTimedOut("m", detail="d", hint="h")

    spool.append(compressed)
    monkeypatch.setattr(qemu_img, call, fail)
    with pytest.raises(BadFormat) as caught:
        open_image(spool, ImageType.QCOW2)
    assert caught.value.detail == "qemu-img can not read it: Image is corrupt"
    monkeypatch.setattr(qemu_img, call, hang)
    with pytest.raises(CommandTimedOut):
        open_image(spool, ImageType.QCOW2)


@pytest.mark.parametrize("call", ["info", "check"])
def test_what_qemu_img_never_ends_to_tell_of(
    spool: Spool, compressed: bytes, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def flood(*_: object) -> dict[str, Any]:
        raise OutputTooLong("m", detail="d", hint="h")

    spool.append(compressed)
    monkeypatch.setattr(qemu_img, call, flood)
    with pytest.raises(BadFormat, match="too much to tell"):
        open_image(spool, ImageType.QCOW2)


@pytest.mark.parametrize("kind", list(ImageType))
def test_an_empty_file(spool: Spool, kind: ImageType) -> None:
    with pytest.raises(BadFormat, match=r"Bad format image, expected : qcow2, raw\."):
        open_image(spool, kind)


def test_an_image_that_fits() -> None:
    require_fit(100, disk_size=100, disk_path="/dev/sda")
    with pytest.raises(ImageLargerThanDisk) as caught:
        require_fit(101, disk_size=100, disk_path="/dev/sda")
    expected = "image provided has a size of 101 bytes which is larger than device of 100 bytes"
    assert caught.value.message == expected
    assert caught.value.detail == "The image does not fit on /dev/sda: 1 bytes are missing."


def test_what_is_in_an_image() -> None:
    found = look_inside(image_of(GPT), 512)
    assert (found.table.kind, len(found.table.partitions), found.config_drive) == (TableKind.GPT, 2, None)
    assert found.other_config_drives == ()
    assert found.boot.legacy is None
    found = look_inside(image_of(MBR), 512)
    assert (found.table.kind, len(found.table.partitions)) == (TableKind.MBR, 1)


def test_a_config_drive_that_the_image_brings() -> None:
    drive = build_iso({"openstack/latest/meta_data.json": b"{}"})
    data = bytearray(GPT)
    data[100 * 512 : 100 * 512 + len(drive)] = drive
    found = look_inside(image_of(bytes(data)), 512).config_drive
    assert found is not None
    assert found.number == 2


def test_an_image_with_more_partitions_than_are_looked_into() -> None:
    parts = [Part(2000 + number, 2000 + number) for number in range(129)]
    with pytest.raises(NoUsableTable) as caught:
        look_inside(image_of(gpt_disk(5000, parts, count=256, boot_code=b"code")), 512)
    assert "129 partitions; 128 are the most" in caught.value.detail


def test_an_image_whose_places_are_too_many(
    spool: Spool, compressed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.append(compressed)
    assert look_inside(open_image(spool, ImageType.QCOW2), 512).boot.legacy is None
    monkeypatch.setattr(extent_reader, "_MOST_ENTRIES", 8191)
    with pytest.raises(BadFormat, match="8192 entries of its tables were read"):
        look_inside(open_image(spool, ImageType.QCOW2), 512)


def test_every_config_drive_that_the_image_brings() -> None:
    drive = build_iso({"openstack/latest/meta_data.json": b"{}"})
    parts = [Part(1000 * number, 1000 * number + 999) for number in range(1, 4)]
    data = bytearray(gpt_disk(5000, parts, boot_code=b"code"))
    for start in (1000, 3000):
        data[start * 512 : start * 512 + len(drive)] = drive
    found = look_inside(image_of(bytes(data)), 512)
    assert found.config_drive is not None
    assert found.config_drive.number == 1
    assert [part.number for part in found.other_config_drives] == [3]


@pytest.mark.parametrize(
    ("data", "sector_size", "message"),
    [
        (bytes(MIB), 512, "The image's partition table can not be used."),
        (GPT[:512] + bytes(MIB), 512, "The image's partition table can not be used."),
        (MBR[: MIB // 2], 512, "The image's partition table can not be used."),
        (GPT, 4096, "The image's partition table can not be used."),
    ],
)
def test_a_table_that_can_not_be_used(data: bytes, sector_size: int, message: str) -> None:
    with pytest.raises(NoUsableTable) as caught:
        look_inside(image_of(data), sector_size)
    assert caught.value.message == message
    assert caught.value.detail not in ("", message)


@settings(deadline=None, max_examples=250)
@given(
    st.sampled_from([GPT, MBR, LOGICAL]),
    st.lists(
        st.tuples(st.integers(430, 6000) | st.integers(0, MIB), st.binary(min_size=1, max_size=9)), max_size=5
    ),
    st.integers(512, MIB),
    st.sampled_from([512, 4096]),
)
def test_whatever_stands_in_the_tables(
    data: bytes, changes: list[tuple[int, bytes]], size: int, sector_size: int
) -> None:
    content = bytearray(data)
    for offset, piece in changes:
        content[offset : offset + len(piece)] = piece
    image = image_of(bytes(content[: padded(size)]))
    try:
        assert isinstance(look_inside(image, sector_size), Contents)
    except ExplainedError as error:
        assert isinstance(error, NoUsableTable)
        assert error.detail not in ("", error.message)


def test_the_sample_with_logical_partitions_is_read() -> None:
    numbers = [part.number for part in look_inside(image_of(LOGICAL), 512).table.partitions]
    assert numbers == [1, 2, 5, 6]
