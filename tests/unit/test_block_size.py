"""On which sectors a file system can be used is told from its superblock, and nothing odd makes it fail."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning.block_size import FileSystemBlocks, block_size, fat_of_other_size, unusable_on
from partitioning.byte_access import BytesReader
from partitioning.errors import DiskReadError
from tests.fat_samples import fat_image
from tests.signature_samples import SAMPLES


def sample(name: str, *pieces: tuple[int, bytes]) -> BytesReader:
    """A superblock made by hand, with other bytes in it."""
    device = bytearray(SAMPLES[name][0])
    for at, data in pieces:
        device[at : at + len(data)] = data
    return BytesReader(bytes(device))


def little(value: int, length: int = 4) -> bytes:
    return value.to_bytes(length, "little")


LOG_BLOCK, BTRFS_SECTOR = 1024 + 24, 65536 + 144
FOUND = [
    (sample("ext4", (LOG_BLOCK, little(0))), "ext4", 1024, "blocks"),
    (sample("ext4", (LOG_BLOCK, little(2))), "ext4", 4096, "blocks"),
    (sample("ext2", (LOG_BLOCK, little(1))), "ext2", 2048, "blocks"),
    (sample("ext3", (LOG_BLOCK, little(6))), "ext3", 65536, "blocks"),
    (sample("xfs", (102, (512).to_bytes(2))), "xfs", 512, "sectors"),
    (sample("xfs", (102, (4096).to_bytes(2))), "xfs", 4096, "sectors"),
    (sample("btrfs", (BTRFS_SECTOR, little(4096))), "btrfs", 4096, "sectors"),
    (sample("btrfs", (BTRFS_SECTOR, little(65536))), "btrfs", 65536, "sectors"),
    (sample("f2fs"), "f2fs", 4096, "blocks"),
    (sample("swap"), "swap", 4096, "pages"),
    (sample("swap, 64 KiB pages"), "swap", 65536, "pages"),
    (sample("iso9660"), "iso9660", 2048, "sectors"),
    (sample("exfat", (108, b"\x09")), "exfat", 512, "sectors"),
    (sample("exfat", (108, b"\x0c")), "exfat", 4096, "sectors"),
    (sample("ntfs", (11, little(512, 2))), "ntfs", 512, "sectors"),
    (sample("ntfs", (11, little(4096, 2))), "ntfs", 4096, "sectors"),
    (sample("vfat"), "vfat", 512, "sectors"),
]


@pytest.mark.parametrize(("reader", "kind", "size", "unit"), FOUND)
def test_the_smallest_unit(reader: BytesReader, kind: str, size: int, unit: str) -> None:
    found = block_size(reader)
    assert found == FileSystemBlocks(type=kind, size=size, unit=unit)
    assert found.is_fat == (kind == "vfat")
    assert unusable_on(reader, 512) is None
    usable = kind == "vfat" or size >= 4096
    assert (unusable_on(reader, 4096) is None) == usable


def test_the_reason_is_the_end_of_a_sentence() -> None:
    assert unusable_on(sample("ext4"), 4096) == (
        "its ext4 file system has blocks of 1024 bytes, "
        "which can not be used on a disk with sectors of 4096 bytes."
    )
    assert unusable_on(sample("xfs", (102, (512).to_bytes(2))), 4096) == (
        "its xfs file system has sectors of 512 bytes, "
        "which can not be used on a disk with sectors of 4096 bytes."
    )


def test_a_fat_is_told_apart() -> None:
    small, other = sample("vfat"), sample("ext4")
    large = bytearray(fat_image(12, {}, {}, count=100)) + bytes(1 << 20)
    large[11:13] = little(4096, 2)
    for reader, sizes in (
        (small, {512: None, 4096: 512}),
        (BytesReader(bytes(large)), {512: 4096, 4096: None}),
        (other, {512: None, 4096: None}),
        (BytesReader(b""), {512: None, 4096: None}),
    ):
        assert {size: fat_of_other_size(reader, size) for size in sizes} == sizes


@pytest.mark.parametrize("name", ["LVM2", "LUKS1", "LUKS2", "md 1.2", "md 0.90", "zfs", "bcache"])
def test_what_does_not_say_it_is_unknown(name: str) -> None:
    assert block_size(sample(name)) is None
    assert unusable_on(sample(name), 4096) is None


@pytest.mark.parametrize(
    "reader",
    [
        sample("ext4", (LOG_BLOCK, little(7))),
        sample("ext4", (LOG_BLOCK, little(0xFFFFFFFF))),
        sample("xfs", (102, (0).to_bytes(2))),
        sample("xfs", (102, (256).to_bytes(2))),
        sample("xfs", (102, (4095).to_bytes(2))),
        sample("btrfs", (BTRFS_SECTOR, little(1 << 31))),
        sample("exfat", (108, b"\xff")),
        sample("exfat", (108, b"\x08")),
        sample("ntfs"),
        sample("f2fs", (1024 + 16, little(0xFFFFFFFF))),
    ],
)
def test_a_size_that_makes_no_sense_is_unknown(reader: BytesReader) -> None:
    assert block_size(reader) is None


class Failing(BytesReader):
    """A disk with bad sectors everywhere."""

    def pread(self, length: int, offset: int) -> bytes:
        raise DiskReadError("Reading failed.", detail=f"At byte {offset}.", hint="")


@pytest.mark.parametrize("name", SAMPLES)
def test_short_and_bad_devices_have_none(name: str) -> None:
    device = SAMPLES[name][0]
    for size in (0, 1, 511, 512, 1024, 1500, 4096, 32768, 65536 + 100):
        block_size(BytesReader(device[:size]))
    assert block_size(Failing(device)) is None
    assert block_size(BytesReader(bytes(1 << 20))) is None


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(st.tuples(st.integers(0, 70000), st.binary(min_size=1, max_size=16)), max_size=4),
)
def test_nothing_makes_it_fail(name: str, changes: list[tuple[int, bytes]]) -> None:
    found = block_size(sample(name, *changes))
    assert found is None or 512 <= found.size <= 65536
