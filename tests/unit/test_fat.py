"""The FAT reader on file systems made by hand, whole and broken."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning.byte_access import BytesReader
from partitioning.errors import DiskError
from partitioning.fat.file_system import FatError, FatFileSystem
from tests.fat_samples import COUNTS, LOADER, LONG, fat_image, long_entries, sample, short_entry

kinds = pytest.mark.parametrize("bits", [12, 16, 32])


def volume(image: bytes | bytearray) -> FatFileSystem:
    return FatFileSystem(BytesReader(bytes(image)))


@kinds
def test_label_id_and_kind(bits: int) -> None:
    fat = volume(sample(bits))
    assert (fat.bits, fat.label, fat.volume_id) == (bits, "CONFIG-2", "1234-ABCD")


@kinds
def test_without_a_label_entry_the_boot_sectors_counts(bits: int) -> None:
    end = {2: b""} if bits == 32 else {}
    assert volume(fat_image(bits, end, {}, count=COUNTS[bits], label=b"config-2   ")).label == "config-2"
    assert volume(fat_image(bits, end, {}, count=COUNTS[bits])).label == ""


@kinds
def test_directories_are_listed(bits: int) -> None:
    fat = volume(sample(bits))
    assert [entry.name for entry in fat.list()] == ["EFI", "EMPTY.TXT", "\u03c3lower.txt", LONG]
    assert [entry.is_directory for entry in fat.list("/")] == [True, False, False, False]
    assert [(entry.name, entry.size) for entry in fat.list("EFI/BOOT")] == [("BOOTX64.EFI", len(LOADER))]
    assert [entry.name for entry in fat.list("\\efi")] == ["BOOT"]


@kinds
def test_files_are_read_whatever_the_case(bits: int) -> None:
    fat = volume(sample(bits))
    for path in ("EFI/BOOT/BOOTX64.EFI", "/efi\\boot/BootX64.efi", "//EFI//boot//bootx64.efi"):
        assert fat.exists(path)
        assert fat.read(path, len(LOADER)) == LOADER
    assert fat.read(LONG.upper(), 4) == fat.read("arathe~1.efi", 4) == b"long"
    assert fat.read("\u03a3lower.TXT", 5) == b"lower"
    assert fat.read("empty.txt", 0) == b""


@kinds
def test_what_is_not_there(bits: int) -> None:
    fat = volume(sample(bits))
    for path in (
        "nothing",
        "EFI/nothing",
        "EMPTY.TXT/x",
        "EFI/BOOT/BOOTX64.EFI/x",
        "EFI/..",
        "CONFIG-2",
        "OLD.TXT",
    ):
        assert not fat.exists(path), path
    assert fat.exists("")
    assert fat.exists("/")
    for path in ("nothing", "EFI", ""):
        with pytest.raises(FatError):
            fat.read(path, 100)
    for path in ("nothing", "EMPTY.TXT"):
        with pytest.raises(FatError):
            fat.list(path)
    with pytest.raises(FatError, match="more than the 1279"):
        fat.read("EFI/BOOT/BOOTX64.EFI", len(LOADER) - 1)


@kinds
@pytest.mark.parametrize(
    ("chains", "path", "said"),
    [
        ({11: 10}, "EFI/BOOT/BOOTX64.EFI", None),
        ({40: 40}, "EFI/BOOT/BOOTX64.EFI", "circle"),
        ({40: 10}, "EFI/BOOT/BOOTX64.EFI", "circle"),
        ({10: 0}, "EFI/BOOT/BOOTX64.EFI", "no cluster 0"),
        ({10: 1}, "EFI/BOOT/BOOTX64.EFI", "no cluster 1"),
        ({10: 0xFF0}, "EFI/BOOT/BOOTX64.EFI", None),
        ({3: 3}, "EFI/BOOT/BOOTX64.EFI", "circle"),
        ({3: 4, 4: 3}, "EFI/BOOT/BOOTX64.EFI", "circle"),
    ],
)
def test_broken_chains(bits: int, chains: dict[int, int], path: str, said: str | None) -> None:
    fat = volume(sample(bits, chains=chains))
    if said is None and 11 in chains:
        # The file's size ends it before the circle closes.
        assert fat.read(path, 2000) == LOADER
        return
    with pytest.raises(FatError) as error:
        fat.read(path, 2000)
    assert (said or "") in error.value.detail


@kinds
def test_a_file_whose_chain_is_too_short(bits: int) -> None:
    end = {12: 0xFF8, 16: 0xFFF8, 32: 0x0FFFFFF8}[bits]
    with pytest.raises(FatError, match="ends after 1024"):
        volume(sample(bits, chains={40: end})).read("EFI/BOOT/BOOTX64.EFI", 2000)


def test_a_chain_is_followed_no_further_than_the_file_goes() -> None:
    exact = short_entry(b"EXACT   BIN", cluster=5, size=512)
    assert volume(sample(12, chains={5: 0}, root_extra=exact)).read("exact.bin", 512).startswith(b"lower")


def test_an_absurd_size_reads_no_more_than_the_limit() -> None:
    huge = short_entry(b"HUGE    BIN", cluster=5, size=0xFFFFFFFF)
    with pytest.raises(FatError, match="4294967295"):
        volume(sample(12, root_extra=huge)).read("huge.bin", 1 << 20)


def test_the_upper_four_bits_of_fat32_do_not_count() -> None:
    assert volume(sample(32, chains={10: 0xF0000028})).read("EFI/BOOT/BOOTX64.EFI", 2000) == LOADER


@pytest.mark.parametrize("spoil", [0, 13, 32])
def test_a_long_name_that_does_not_belong_is_left_out(spoil: int) -> None:
    short = b"ARATHE~1EFI"
    entries = bytearray(long_entries(LONG, short))
    entries[spoil] ^= 0x01
    root = bytes(entries) + short_entry(short, cluster=5, size=5)
    names = [entry.name for entry in volume(fat_image(12, {}, {}, count=100, root=root)).list()]
    assert names == ["ARATHE~1.EFI"]


BROKEN = [
    (0, b"\0"), (510, b"\0\0"), (11, b"\0\0"), (11, b"\1\2"), (11, b"\x00\x40"), (13, b"\0"), (13, b"\3"),
    (14, b"\0\0"), (16, b"\0"), (16, b"\x09"), (21, b"\0"), (17, b"\0\0"), (22, b"\0\0"),
    (22, b"\xff\xff"), (22, b"\1\0"), (32, b"\0\0\0\0"), (32, b"\xff\xff\xff\xff"),
    (32, struct.pack("<I", 60000)),
]  # fmt: skip


@pytest.mark.parametrize(("at", "data"), BROKEN)
def test_a_boot_sector_that_makes_no_sense_is_refused(at: int, data: bytes) -> None:
    image = sample(16)
    image[at : at + len(data)] = data
    with pytest.raises(FatError) as error:
        volume(image)
    assert error.value.detail
    assert error.value.hint


@pytest.mark.parametrize("root", [0, 1, 202, 0x0FFFFFFF])
def test_a_root_that_is_not_there_is_refused(root: int) -> None:
    image = sample(32)
    struct.pack_into("<I", image, 44, root)
    with pytest.raises(FatError, match="no cluster"):
        volume(image)


def test_what_is_too_short_is_refused() -> None:
    for size in (0, 511, 512, len(sample(12)) - 1):
        with pytest.raises(FatError):
            volume(sample(12)[:size])


@settings(max_examples=300)
@given(
    st.sampled_from([12, 32]),
    st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=6),
)
def test_mutations_are_read_or_refused(bits: int, changes: list[tuple[int, bytes]]) -> None:
    image = sample(bits)
    for at, data in changes:
        image[at : at + len(data)] = data
    with suppress(DiskError):
        fat = volume(image)
        assert isinstance(fat.label, str)
        for entry in fat.list():
            with suppress(FatError):
                fat.list(entry.name)
        fat.read("EFI/BOOT/BOOTX64.EFI", 4096)
