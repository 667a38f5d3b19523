"""What is on a disk before it is erased is named, whatever made it."""

import os
from pathlib import Path

import pytest

from partitioning.disks import file_disk
from partitioning.old_contents import old_contents as named
from tests.disk.old_contents import CONTENTS
from tests.small_images import MIB, gpt_image, put, random_file, tool

SIZE = 64 * MIB
TYPES = {
    "ext4": "ext4",
    "vfat": "vfat",
    "swap": "swap",
    "lvm": "LVM2_member",
    "md 1.2": "linux_raid_member",
    "md 1.1": "linux_raid_member",
    "md 1.0": "linux_raid_member",
    "md 0.90": "linux_raid_member",
    "luks2": "crypto_LUKS",
    "iso9660": "iso9660",
}


def holding(path: Path, what: str, *, at: int = 0, size: int = SIZE) -> Path:
    path.touch()
    os.truncate(path, max(path.stat().st_size, at + size))
    for offset, piece in CONTENTS[what](size).items():
        put(path, at + offset, piece)
    return path


@pytest.mark.parametrize("what", TYPES)
def test_a_signature_on_the_whole_disk(tmp_path: Path, what: str) -> None:
    (words,) = named(file_disk(holding(tmp_path / "disk", what)))
    assert words.startswith(TYPES[what])
    assert words.endswith(" on the whole disk")


@pytest.mark.parametrize("what", TYPES)
def test_a_signature_in_a_partition(tmp_path: Path, what: str) -> None:
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, SIZE + 4 * MIB)
    tool("sgdisk", "-n", f"1:2048:+{SIZE // MIB}M", disk)
    holding(disk, what, at=MIB)
    table, partition = named(file_disk(disk))
    assert table == "GPT for sectors of 512 bytes"
    assert partition.startswith(f"partition 1: Linux file system, {TYPES[what]}")


def test_a_whole_system(tmp_path: Path) -> None:
    found = named(file_disk(gpt_image(tmp_path / "disk")))
    assert found == (
        "GPT for sectors of 512 bytes",
        "partition 1: Linux file system",
        "partition 14: BIOS boot partition",
        "partition 15: EFI system partition, vfat labelled ESP",
    )


def test_a_table_for_other_sectors_than_the_disks(tmp_path: Path) -> None:
    found = named(file_disk(gpt_image(tmp_path / "disk"), sector_size=4096))
    assert found[0] == "GPT for sectors of 512 bytes"


def test_a_backup_gpt_alone(tmp_path: Path) -> None:
    disk = gpt_image(tmp_path / "disk")
    put(disk, 0, bytes(MIB))
    assert named(file_disk(disk)) == ("a backup GPT at the end",)


def test_an_empty_one_and_noise(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    os.truncate(empty, MIB)
    assert named(file_disk(empty)) == ()
    assert named(file_disk(random_file(tmp_path / "noise", MIB))) == ()


def test_one_that_has_gone(tmp_path: Path) -> None:
    disk = file_disk(random_file(tmp_path / "gone", MIB))
    disk.path.unlink()
    assert named(disk) == ()
