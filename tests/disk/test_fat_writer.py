"""FAT file systems made by our own code, judged by fsck.fat, mtools and blkid."""

import os
from pathlib import Path

import pytest

from partitioning.errors import NoRoom
from partitioning.fat import writer as fat_writer
from tests.fat_samples import write_fat
from tests.small_images import MIB, tool

FILES = {
    "EFI/BOOT/BOOTX64.EFI": os.urandom(900_000),
    "EFI/byoi-agent/grubx64.efi": os.urandom(3 * MIB),
    "EFI/debian/grub.cfg": b"search\n",
    "a_long.file_name": b"x",
    "empty.txt": b"",
    **{f"many/file_{number:03d}.json": bytes([number % 256]) for number in range(300)},
}
# Bits, logical sector size, size.
FORMS = [
    (12, 512, 12 * MIB),
    (12, 4096, 16 * MIB),
    (16, 512, 64 * MIB),
    (16, 2048, 128 * MIB),
    (16, 4096, 64 * MIB),
    (32, 512, 34 * MIB),
    (32, 512, 64 * MIB),
    (32, 512, 1024 * MIB),
    (32, 1024, 128 * MIB),
    (32, 4096, 300 * MIB),
]


@pytest.fixture(params=FORMS, ids=lambda form: f"FAT{form[0]}-{form[1]}-{form[2] // MIB}M")
def form(request: pytest.FixtureRequest) -> tuple[int, int, int]:
    found: tuple[int, int, int] = request.param
    return found


@pytest.fixture
def volume(form: tuple[int, int, int], tmp_path: Path) -> Path:
    bits, sector_size, size = form
    image = fat_writer.build(
        FILES, sector_size=sector_size, size=size, label="EFI", volume_id=0x1234ABCD, bits=bits
    )
    path = tmp_path / "volume"
    write_fat(path, image)
    return path


def test_nothing_is_wrong_with_it(volume: Path) -> None:
    tool("fsck.fat", "-n", "-v", volume)


def test_its_type_label_and_serial_number(volume: Path, form: tuple[int, int, int]) -> None:
    said = tool("blkid", "-p", "-o", "export", volume).splitlines()
    assert {f"VERSION=FAT{form[0]}", "LABEL=EFI", "UUID=1234-ABCD", f"BLOCK_SIZE={form[1]}"} <= set(said)


def test_every_file_is_read_as_it_was_given(volume: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    tool("mcopy", "-s", "-n", "-i", volume, "::/*", f"{out}/")
    found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found == FILES


def test_a_name_of_eight_and_three_has_no_long_form(volume: Path) -> None:
    listing = tool("mdir", "-i", volume, "::/EFI/BOOT")
    (line,) = [line for line in listing.splitlines() if line.startswith("BOOTX64")]
    assert line.split()[:2] == ["BOOTX64", "EFI"]
    assert len(line.split()) == 5  # a long name would stand at the end


@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize("bits", [None, 16, 32])
def test_the_least_size_is_enough_and_less_is_not(bits: int | None, sector_size: int) -> None:
    size = fat_writer.least_size(FILES, sector_size, bits=bits)
    fat_writer.build(FILES, sector_size=sector_size, size=size, label="X", volume_id=1, bits=bits)
    with pytest.raises(NoRoom):
        fat_writer.build(FILES, sector_size=sector_size, size=size - MIB, label="X", volume_id=1, bits=bits)


@pytest.mark.parametrize(("bits", "count"), [(None, 600), (16, 600)])
def test_a_root_directory_that_can_not_hold_so_many_names(bits: int | None, count: int) -> None:
    files = {f"F{number:03d}.TXT": b"" for number in range(count)}
    with pytest.raises(NoRoom, match="The root directory"):
        fat_writer.least_size(files, 512, bits=bits)
    assert fat_writer.least_size(files, 512, bits=32) > 0


def test_files_that_a_type_can_not_carry_are_refused_soon() -> None:
    with pytest.raises(NoRoom):
        fat_writer.least_size({f"{number}.BIN": bytes(64 * MIB) for number in range(8)}, 512, bits=12)
