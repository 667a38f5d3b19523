"""MBR disks and very large ones, with sfdisk and sgdisk as judges."""

import json
import os
from pathlib import Path
from uuid import uuid4

import pytest

from partitioning.backup_gpt import move_backup
from partitioning.new_partition import TooManyPartitions, add, place_at_end
from partitioning.open_disk import open_exclusively
from partitioning.partition_types import LINUX_DATA
from partitioning.table import TableKind, detect_sector_size, read_table
from tests.disk.conftest import MakeLoop
from tests.small_images import MIB, put, random_file, tool

TIB = 1 << 40
SIZE = 32 * MIB
CODE = os.urandom(440)


def mbr_disk(path: Path, *lines: str, size: int = SIZE) -> Path:
    """A disk full of random bytes with an MBR by sfdisk, and boot code."""
    random_file(path, SIZE)
    os.truncate(path, size)
    table = "\n".join(["label: dos", "label-id: 0xcafe0001", *lines])
    tool("sfdisk", "--quiet", "--wipe", "never", path, stdin=table.encode())
    put(path, 0, CODE)
    return path


def sfdisk_partitions(path: Path) -> list[tuple[int, int, int, str]]:
    entries = json.loads(tool("sfdisk", "-J", path))["partitiontable"]["partitions"]
    return [
        (
            int(entry["node"].removeprefix(str(path)).removeprefix("p")),
            entry["start"],
            entry["size"],
            entry["type"],
        )
        for entry in entries
    ]


def ours(path: Path, sector_size: int = 512) -> list[tuple[int, int, int, str]]:
    with open_exclusively(path) as disk:
        table = read_table(disk, sector_size)
        return [
            (
                part.number,
                part.start // sector_size,
                part.size // sector_size,
                part.type.removeprefix("0x").lstrip("0"),
            )
            for part in table.partitions
        ]


ROOT = "start=2048, size=8192, type=83, bootable"


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_what_sfdisk_made_is_read_the_same(tmp_path: Path, make_loop: MakeLoop, sector_size: int) -> None:
    path = random_file(tmp_path / "disk", 64 * MIB)
    device = make_loop(path, sector_size)
    lines = [
        "label: dos",
        "size=4M, type=83, bootable",
        "size=4M, type=ef",
        "type=f",
        *["size=3M, type=83"] * 5,
    ]
    tool("sfdisk", "--quiet", "--wipe", "never", "--no-reread", device, stdin="\n".join(lines).encode())
    found = ours(device, sector_size)
    assert [number for number, *_ in found] == [1, 2, 3, 5, 6, 7, 8, 9]
    assert found == sfdisk_partitions(device)


@pytest.mark.parametrize("extended", [False, True])
def test_a_new_partition_on_mbr(tmp_path: Path, *, extended: bool) -> None:
    more = ["start=12288, size=8192, type=5", "start=14336, size=2048, type=83"] if extended else []
    path = mbr_disk(tmp_path / "disk", ROOT, *more)
    before = path.read_bytes()
    with open_exclusively(path) as disk:
        plan = place_at_end(read_table(disk, 512), disk.size, MIB)
        made = add(disk, 512, plan, kind=LINUX_DATA, name="", guid=uuid4())
    after = path.read_bytes()
    at = 446 + 16 * (made.number - 1)
    assert after[:at] + after[at + 16 :] == before[:at] + before[at + 16 :]
    assert "No errors detected." in tool("sfdisk", "-V", path)
    assert (made.number, plan.start // 512, plan.size // 512, "83") in sfdisk_partitions(path)
    assert plan.end == SIZE
    # Other tools agree on every byte of the entry: sfdisk writes the same one.
    tool("sfdisk", "--quiet", "--no-reread", path, stdin=tool("sfdisk", "-d", path).encode())
    assert path.read_bytes()[:512] == after[:512]


@pytest.mark.parametrize("last", ["type=83", "type=5"])
def test_a_full_mbr_is_refused_before_anything_is_written(tmp_path: Path, last: str) -> None:
    path = mbr_disk(tmp_path / "disk", ROOT, "size=2048", "size=2048", f"size=4096, {last}")
    with open_exclusively(path) as disk, pytest.raises(TooManyPartitions):
        place_at_end(read_table(disk, 512), disk.size, MIB)


def test_on_mbr_it_stays_below_2_tib(tmp_path: Path) -> None:
    path = mbr_disk(tmp_path / "disk", ROOT, size=3 * TIB)
    with open_exclusively(path) as disk:
        plan = place_at_end(read_table(disk, 512), disk.size, 64 * MIB)
        made = add(disk, 512, plan, kind=LINUX_DATA, name="", guid=uuid4())
    assert made.end == 2 * TIB - 512
    assert (2, plan.start // 512, plan.size // 512, "83") in sfdisk_partitions(path)
    assert "No errors detected." in tool("sfdisk", "-V", path)


def test_a_gpt_beyond_2_tib(tmp_path: Path) -> None:
    path = random_file(tmp_path / "disk", SIZE)
    tool("sgdisk", "--clear", "-n", "1:2048:0", path)
    os.truncate(path, 3 * TIB)
    with open_exclusively(path) as disk:
        move_backup(disk, 512)
        plan = place_at_end(read_table(disk, 512), disk.size, 64 * MIB)
        add(disk, 512, plan, kind=LINUX_DATA, name="config-2", guid=uuid4())
        assert disk.pread(4, 446 + 12) == b"\xff" * 4
    assert "No problems found." in tool("sgdisk", "-v", path)
    assert "No errors detected." in tool("sfdisk", "-V", path)
    assert plan.end == 3 * TIB - 33 * 512


@pytest.mark.parametrize(
    ("sector_size", "label"), [(512, "ext4"), (4096, "ext4"), (512, "vfat"), (4096, "vfat")]
)
def test_the_sector_size_of_an_mbr_image(
    tmp_path: Path, make_loop: MakeLoop, sector_size: int, label: str
) -> None:
    path = random_file(tmp_path / "disk", SIZE)
    device = make_loop(path, sector_size)
    start = MIB // sector_size
    table = f"label: dos\nstart={start}, size={start * 8}, type=83\n"
    tool("sfdisk", "--quiet", "--wipe", "never", "--no-reread", device, stdin=table.encode())
    volume = tmp_path / "volume"
    volume.touch()
    os.truncate(volume, 8 * MIB)
    tool("mke2fs", "-q", "-t", "ext4", volume) if label == "ext4" else tool("mkfs.fat", volume)
    put(device, MIB, volume.read_bytes())
    with open_exclusively(device) as disk:
        assert detect_sector_size(disk) == sector_size
        assert read_table(disk, sector_size).kind is TableKind.MBR
