"""Moving the backup GPT, adding partitions: on files and block devices, judged by sgdisk and sfdisk."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from partitioning.backup_gpt import backup_agrees, move_backup
from partitioning.errors import NoRoom, SectorSizeMismatch, TableUnusable
from partitioning.held_head import HeldHead
from partitioning.new_partition import add, place_at_end, remove
from partitioning.open_disk import OpenDisk, open_exclusively
from partitioning.partition_types import ESP, LINUX_DATA
from partitioning.table import detect_sector_size, read_table
from tests.disk.conftest import MakeLoop
from tests.small_images import MIB, random_file, tool

IMAGE_SIZE, DISK_SIZE = 12 * MIB, 24 * MIB
CODE = bytes(range(1, 256)) + bytes(range(1, 186))


@dataclass
class Kind:
    """A sort of disk to work on: a file, or a loop device with sectors of some size."""

    sector_size: int
    block_device: bool
    folder: Path
    make_loop: MakeLoop

    def disk(self, name: str, size: int) -> Path:
        """A disk full of random bytes."""
        path = random_file(self.folder / name, size)
        return self.make_loop(path, self.sector_size) if self.block_device else path


@pytest.fixture(params=["file", "loop-512", "loop-4096"])
def kind(request: pytest.FixtureRequest, tmp_path: Path, make_loop: MakeLoop) -> Kind:
    return Kind(4096 if request.param == "loop-4096" else 512, request.param != "file", tmp_path, make_loop)


def content(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read()


def write(path: Path, data: bytes, offset: int = 0) -> None:
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)
        os.fsync(stream.fileno())


def image(kind: Kind, *, entries: int = 128, late: Sequence[str] = ()) -> bytes:
    """An image made by sgdisk: a BIOS boot partition, an ESP, a root to the end, and boot code."""
    path = kind.disk("image", IMAGE_SIZE)
    sectors = MIB // kind.sector_size
    tool(
        "sgdisk", "--clear", "-S", str(entries), "-n", f"3:{2 * sectors}:+1M", "-t", "3:ef02",
        "-n", f"2:{3 * sectors}:+4M", "-t", "2:ef00", "-n", f"1:{7 * sectors}:0", "-c", "1:root", *late, path,
    )  # fmt: skip
    write(path, CODE)
    return content(path)


def put(disk: OpenDisk, data: bytes) -> HeldHead:
    """Write an image as the agent does, its first MiB held back."""
    held = HeldHead(disk)
    for at in range(0, len(data), MIB):
        held.pwrite(data[at : at + MIB], at)
    return held


def judge(path: Path) -> None:
    """Let sgdisk and sfdisk look for anything wrong."""
    verdict = tool("sgdisk", "-v", path)
    assert "No problems found." in verdict, verdict
    assert "Warning: The protective" not in verdict
    checked = tool("sfdisk", "-V", path)
    assert "No errors detected." in checked, checked


def as_sfdisk_reads(path: Path) -> list[tuple[int, int, str]]:
    table = json.loads(tool("sfdisk", "-J", path))["partitiontable"]
    return [(entry["start"], entry["size"], entry["type"].lower()) for entry in table["partitions"]]


def changed(before: bytes, after: bytes) -> list[int]:
    return [at for at in range(len(before)) if before[at] != after[at]]


ATTRIBUTES = ["-A", "1:set:2", "-A", "1:set:63"]


@pytest.mark.parametrize("late", [[], ["-h", "2:1"], ATTRIBUTES], ids=["usual", "hybrid", "attributes"])
@pytest.mark.parametrize("entries", [4, 128, 256])
def test_the_backup_moves_and_nothing_else(kind: Kind, entries: int, late: list[str]) -> None:
    data = image(kind, entries=entries, late=late)
    target = kind.disk("disk", DISK_SIZE)
    with open_exclusively(target) as disk:
        held = put(disk, data)
        moved = move_backup(held, kind.sector_size)
        held.commit()
        assert backup_agrees(held, moved)
    judge(target)
    after = content(target)
    sector = kind.sector_size
    fields = {
        *range(sector + 16, sector + 20),
        *range(sector + 32, sector + 40),
        *range(sector + 48, sector + 56),
    }
    fields |= set() if "-h" in late else set(range(446 + 12, 446 + 16))
    assert set(changed(data[:MIB], after[:MIB])) <= fields
    root_end = (moved.partitions[0].last_lba + 1) * sector
    assert after[MIB:root_end] == data[MIB:root_end]
    assert not any(after[root_end:IMAGE_SIZE])
    assert after.count(b"EFI PART") == 2


def test_two_partitions_at_the_end(kind: Kind) -> None:
    data = image(kind)
    target = kind.disk("disk", DISK_SIZE)
    esp_guid, drive_guid = uuid4(), UUID("01234567-89ab-4def-8123-456789abcdef")
    with open_exclusively(target) as disk:
        held = put(disk, data)
        move_backup(held, kind.sector_size)
        table = read_table(held, kind.sector_size)
        drive = place_at_end(table, disk.size, 2 * MIB)
        esp = place_at_end(table, disk.size, 5 * MIB, ahead_of=[drive])
        add(held, kind.sector_size, drive, kind=LINUX_DATA, name="config-2", guid=drive_guid)
        add(held, kind.sector_size, esp, kind=ESP, name="EFI", guid=esp_guid)
        held.commit()
    judge(target)
    made = tool("sgdisk", "-i", "4", target)
    assert str(drive_guid).upper() in made
    assert "Partition name: 'config-2'" in made
    assert as_sfdisk_reads(target)[-2:] == [
        (plan.start // kind.sector_size, plan.size // kind.sector_size, str(what.guid))
        for plan, what in ((drive, LINUX_DATA), (esp, ESP))
    ]
    before = content(target)
    with open_exclusively(target) as disk:
        remove(disk, kind.sector_size, 4)
    judge(target)
    assert "config-2" not in tool("sgdisk", "-p", target)
    assert set(changed(before[:MIB], content(target)[:MIB])) <= {
        *range(kind.sector_size + 16, kind.sector_size + 20),
        *range(kind.sector_size + 88, kind.sector_size + 92),
        *range(2 * kind.sector_size + 3 * 128, 2 * kind.sector_size + 4 * 128),
    }


@pytest.mark.parametrize("cut", ["truncated", "resized", "same size", "backup damaged"])
def test_wherever_the_images_backup_is(kind: Kind, cut: str) -> None:
    data = image(kind)
    size = DISK_SIZE
    if cut == "truncated":
        data = data[: -(33 * 512 if kind.sector_size == 512 else 5 * 4096)]
    elif cut == "resized":
        raw = kind.folder / "resized.raw"
        raw.write_bytes(data)
        tool("qemu-img", "resize", "-f", "raw", raw, str(16 * MIB))
        data = raw.read_bytes()
    else:
        size = IMAGE_SIZE
    if cut == "backup damaged":
        data = data[:-100] + os.urandom(100)
    target = kind.disk("disk", size)
    with open_exclusively(target) as disk:
        held = put(disk, data)
        move_backup(held, kind.sector_size)
        held.commit()
    judge(target)
    if cut == "same size":
        assert content(target) == data


def test_a_disk_that_is_too_small_is_left_as_it_is(kind: Kind) -> None:
    data = image(kind)
    target = kind.disk("disk", IMAGE_SIZE - 40 * kind.sector_size)
    with open_exclusively(target) as disk:
        held = put(disk, data[: disk.size])
        before = held.pread(disk.size, 0)
        with pytest.raises(NoRoom):
            move_backup(held, kind.sector_size)
        assert held.pread(disk.size, 0) == before


@pytest.mark.parametrize("made_for", [512, 4096])
def test_a_table_for_the_other_sector_size_is_told(
    tmp_path: Path, make_loop: MakeLoop, made_for: int
) -> None:
    other = 4096 if made_for == 512 else 512
    data = image(Kind(made_for, block_device=True, folder=tmp_path, make_loop=make_loop))
    target = make_loop(random_file(tmp_path / "disk", DISK_SIZE), other)
    with open_exclusively(target) as disk:
        held = put(disk, data)
        assert detect_sector_size(held) == made_for
        with pytest.raises(SectorSizeMismatch):
            move_backup(held, disk.sector_size)


def test_sgdisk_finds_what_a_damaged_primary_is_refused_for(tmp_path: Path, make_loop: MakeLoop) -> None:
    data = bytearray(image(Kind(512, block_device=False, folder=tmp_path, make_loop=make_loop)))
    for at in (512 + 60, 1024 + 20):
        damaged = bytearray(data)
        damaged[at] ^= 1
        path = tmp_path / "damaged"
        path.write_bytes(damaged)
        said = subprocess.run(["sgdisk", "-v", path], capture_output=True, text=True, check=False)
        assert "CRC" in said.stdout + said.stderr
        with (
            open_exclusively(path) as disk,
            pytest.raises(TableUnusable, match="Only the backup GPT is good"),
        ):
            move_backup(disk, 512)
    assert bytes(damaged) == path.read_bytes()
