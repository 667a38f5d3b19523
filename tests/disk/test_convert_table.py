"""Tables rewritten for the other sector size, on block devices, judged by sgdisk, sfdisk, partx and blkid."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from partitioning.backup_gpt import backup_agrees, move_backup
from partitioning.convert_table import convert_table, converted_view
from partitioning.errors import NoRoom, NotConvertible
from partitioning.held_head import HEAD_SIZE, HeldHead
from partitioning.open_disk import open_exclusively, open_for_reading
from partitioning.table import detect_sector_size, read_table
from tests.disk.conftest import MakeLoop
from tests.disk.loop_device import loop_device, mounted
from tests.small_images import MIB, put, random_file, tool

IMAGE_SIZE, DISK_SIZE = 16 * MIB, 24 * MIB
CODE = bytes(range(1, 256)) + bytes(range(1, 186))


@dataclass(frozen=True)
class Way:
    """From which sector size to which."""

    made_for: int
    sector_size: int
    folder: Path
    make_loop: MakeLoop

    def device(self, name: str, size: int, sector_size: int) -> Path:
        """A block device full of random bytes."""
        return self.make_loop(random_file(self.folder / name, size), sector_size)


@pytest.fixture(params=[(512, 4096), (4096, 512)], ids=["512 to 4096", "4096 to 512"])
def way(request: pytest.FixtureRequest, tmp_path: Path, make_loop: MakeLoop) -> Way:
    made_for, sector_size = request.param
    return Way(made_for, sector_size, tmp_path, make_loop)


def content(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read()


def gpt_image(way: Way, *options: str, entries: int = 128) -> Path:
    """An image by sgdisk: a BIOS boot partition, an ESP, a root to the last usable LBA, and boot code."""
    path = way.device("image", IMAGE_SIZE, way.made_for)
    mib = MIB // way.made_for
    bios, esp = ("14", "15") if entries > 14 else ("3", "4")
    tool(
        "sgdisk", "--clear", "-S", str(entries), "-n", f"{bios}:{mib}:+1M", "-t", f"{bios}:ef02",
        "-n", f"{esp}:{2 * mib}:+4M", "-t", f"{esp}:ef00", "-c", f"{esp}:EFI ä",
        "-n", f"1:{6 * mib}:0", "-c", "1:root", "-A", "1:set:2", "-A", "1:set:60", *options, path,
    )  # fmt: skip
    put(path, 0, CODE)
    return path


def mbr_image(way: Way, *, tail: int = 0) -> Path:
    """An image by sfdisk: an active root, swap, and an ESP that ends ``tail`` sectors before a whole MiB."""
    path = way.device("image", IMAGE_SIZE, way.made_for)
    mib = MIB // way.made_for
    lines = [
        "label: dos", "label-id: 0xcafe0001", f"start={mib}, size={4 * mib}, type=83, bootable",
        f"start={9 * mib}, size={mib}, type=82", f"start={6 * mib}, size={3 * mib - tail}, type=ef",
    ]  # fmt: skip
    tool("sfdisk", "-q", "--wipe", "never", "--no-reread", path, stdin="\n".join(lines).encode())
    volume = way.folder / "volume"
    volume.unlink(missing_ok=True)
    volume.touch()
    os.truncate(volume, 4 * MIB)
    tool("mke2fs", "-q", "-b", "4096", volume)
    put(path, MIB, volume.read_bytes())
    put(path, 0, CODE)
    return path


def deploy(way: Way, image: Path, *, gpt: bool, size: int = DISK_SIZE) -> Path:
    """Do what the agent does: the image behind a held head, conversion, backup, and the head at last."""
    target, data = way.device("disk", size, way.sector_size), content(image)
    with open_exclusively(target) as disk:
        held = HeldHead(disk)
        held.pwrite(data, 0)
        assert detect_sector_size(held) == way.made_for
        convert_table(held, made_for=way.made_for, sector_size=way.sector_size)
        assert disk.pread(HEAD_SIZE, 0) != held.pread(HEAD_SIZE, 0)
        if gpt:
            assert backup_agrees(held, move_backup(held, way.sector_size))
        held.commit()
    return target


def judge(path: Path) -> None:
    """Let sgdisk and sfdisk look for anything wrong."""
    verdict = tool("sgdisk", "-v", path)
    assert "No problems found." in verdict, verdict
    assert "Warning: The protective" not in verdict
    checked = tool("sfdisk", "-V", path)
    assert "No errors detected." in checked, checked


def by_sfdisk(path: Path, sector_size: int) -> dict[str, Any]:
    """The table as sfdisk reads it, in bytes."""
    table: dict[str, Any] = json.loads(tool("sfdisk", "-J", path))["partitiontable"]
    assert table["sectorsize"] == sector_size
    for part in table["partitions"]:
        part["node"] = part["node"].removeprefix(str(path))
        part["start"] *= sector_size
        part["end"] = part["start"] + part.pop("size") * sector_size
    kept = {key: table[key] for key in ("label", "id", "partitions")}
    return kept | {"entries": table.get("table-length")}


def by_partx(path: Path, sector_size: int) -> list[list[str]]:
    # Starts are in sectors of 512 bytes, whatever the disk has.
    columns = "NR,START,UUID,TYPE,FLAGS,NAME"
    said = tool(
        "partx", "--raw", "--noheadings", "--bytes", "--sector-size", str(sector_size), "-o", columns, path
    )
    return [line.split(" ") for line in said.splitlines()]


def by_blkid(path: Path) -> list[str]:
    return tool("blkid", "-p", "-o", "value", "-s", "PTTYPE", "-s", "PTUUID", path).split()


def rounded(table: dict[str, Any], sector_size: int) -> dict[str, Any]:
    """What sfdisk should read afterwards."""
    for part in table["partitions"]:
        part["end"] = -(-part["end"] // sector_size) * sector_size
    return table


@pytest.mark.parametrize("entries", [4, 56, 128, 256])
def test_a_gpt(way: Way, entries: int) -> None:
    image = gpt_image(way, entries=entries)
    target = deploy(way, image, gpt=True)
    judge(target)
    before = by_sfdisk(image, way.made_for)
    ends = [part["end"] for part in before["partitions"]]
    assert any(end % way.sector_size for end in ends) == (way.sector_size == 4096)
    assert by_sfdisk(target, way.sector_size) == rounded(before, way.sector_size)
    assert by_partx(target, way.sector_size) == by_partx(image, way.made_for)
    assert by_blkid(target) == by_blkid(image)
    old, new = content(image), content(target)
    assert new[:440] == CODE
    assert new[MIB : max(ends)] == old[MIB : max(ends)]
    tables_end = 2 * 4096 + max(entries * 128, 16384)
    assert new[tables_end:MIB] == old[tables_end:MIB]
    # The old backup is gone, and so is everything else that could be taken for a header.
    assert new.count(b"EFI PART") == 2
    array = -(-entries * 128 // way.made_for) * way.made_for
    assert not any(new[IMAGE_SIZE - array - way.made_for : IMAGE_SIZE])
    assert new[max(ends) : IMAGE_SIZE - array - way.made_for] == old[max(ends) : -array - way.made_for]


def test_the_backup_the_image_had_is_not_found_with_the_old_sector_size(way: Way) -> None:
    target = deploy(way, gpt_image(way), gpt=True)
    backing = way.make_loop(way.folder / "disk", way.made_for)
    assert by_blkid(backing) == ["PMBR"]
    # sgdisk searches for both copies; on the converted disk it has none to offer.
    said = subprocess.run(["sgdisk", "-p", backing], capture_output=True, text=True, check=False)
    assert "root" not in said.stdout
    assert "root" in tool("sgdisk", "-p", target)


def test_planned_on_the_image_it_is_what_will_be_on_the_disk(way: Way) -> None:
    image = gpt_image(way)
    target = deploy(way, image, gpt=True)
    with open_for_reading(image) as source, open_for_reading(target) as disk:
        before = content(image)
        view = converted_view(source, made_for=way.made_for, sector_size=way.sector_size)
        planned, done = read_table(view, way.sector_size), read_table(disk, way.sector_size)
        assert planned.partitions == done.partitions
        assert content(image) == before
        assert planned.gpt is not None
        assert done.gpt is not None
        assert planned.gpt.entries == done.gpt.entries


def test_there_and_back_by_two_disks(way: Way) -> None:
    image = gpt_image(way, "-d", "1", "-n", "2:10M:+3M", "-c", "2:data")
    there = deploy(way, image, gpt=True)
    back = Way(way.sector_size, way.made_for, way.folder / "back", way.make_loop)
    back.folder.mkdir()
    again = deploy(back, there, gpt=True, size=32 * MIB)
    judge(again)
    assert by_sfdisk(again, way.made_for) == by_sfdisk(image, way.made_for)


def test_a_disk_of_exactly_the_images_size(way: Way) -> None:
    image = gpt_image(way)
    if way.sector_size == 512:
        judge(deploy(way, image, gpt=True, size=IMAGE_SIZE))
        return
    # The backup for 4096-byte sectors takes more room than the image has behind its last partition.
    with pytest.raises(NoRoom):
        deploy(way, image, gpt=True, size=IMAGE_SIZE)
    left = content(way.folder / "disk")
    assert not any(left[-33 * 512 :])


def test_a_disk_one_sector_larger(way: Way) -> None:
    judge(deploy(way, gpt_image(way), gpt=True, size=IMAGE_SIZE + 4096))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-h", "1:15"], "a hybrid one"),
        (["-a", "1", "-n", "3:2047:2047"], "Partition 3 begins at byte 1048064,"),
    ],
    ids=["hybrid", "start within a sector"],
)
def test_what_is_refused_is_left_as_it_is(
    tmp_path: Path, make_loop: MakeLoop, options: list[str], said: str
) -> None:
    image = gpt_image(Way(512, 4096, tmp_path, make_loop), *options)
    before = content(image)
    with open_exclusively(image) as disk, pytest.raises(NotConvertible, match=said):
        convert_table(disk, made_for=512, sector_size=4096)
    assert content(image) == before


def test_an_mbr(way: Way) -> None:
    image = mbr_image(way)
    target = deploy(way, image, gpt=False)
    assert "No errors detected." in tool("sfdisk", "-V", target)
    assert by_sfdisk(target, way.sector_size) == by_sfdisk(image, way.made_for)
    assert by_partx(target, way.sector_size) == by_partx(image, way.made_for)
    assert by_blkid(target) == by_blkid(image) == ["cafe0001", "dos"]
    old, new = content(image), content(target)
    assert new[:446] == old[:446]
    assert new[510:IMAGE_SIZE] == old[510:]
    # Other tools agree on every byte, CHS too: sfdisk writes the same entries on such a disk.
    dump = tool("sfdisk", "-d", target)
    tool("sfdisk", "-q", "--wipe", "never", "--no-reread", target, stdin=dump.encode())
    assert content(target)[:512] == new[:512]


@pytest.mark.parametrize("tail", [1, 7])
def test_an_mbr_end_within_a_sector(tmp_path: Path, make_loop: MakeLoop, tail: int) -> None:
    way = Way(512, 4096, tmp_path, make_loop)
    image = mbr_image(way, tail=tail)
    target = deploy(way, image, gpt=False)
    assert "No errors detected." in tool("sfdisk", "-V", target)
    assert by_sfdisk(target, 4096) == rounded(by_sfdisk(image, 512), 4096)


def test_an_extended_partition(way: Way) -> None:
    image = way.device("image", IMAGE_SIZE, way.made_for)
    lines = ["label: dos", "size=4M, type=83", "type=f", "size=3M, type=83", "size=3M, type=83"]
    tool("sfdisk", "-q", "--wipe", "never", "--no-reread", image, stdin="\n".join(lines).encode())
    before = content(image)
    with open_exclusively(image) as disk, pytest.raises(NotConvertible, match="an extended one"):
        convert_table(disk, made_for=way.made_for, sector_size=way.sector_size)
    assert content(image) == before


def test_the_kernel_mounts_a_partition_of_a_converted_disk(way: Way) -> None:
    image = gpt_image(way)
    volume = way.folder / "volume"
    volume.touch()
    os.truncate(volume, 8 * MIB)
    (way.folder / "tree").mkdir()
    (way.folder / "tree/file").write_text("text")
    tool("mke2fs", "-q", "-b", "4096", "-d", way.folder / "tree", volume)
    put(image, 6 * MIB, volume.read_bytes())
    target = deploy(way, image, gpt=True)
    parts = by_sfdisk(target, way.sector_size)["partitions"]
    root = next(part for part in parts if part["name"] == "root")
    window = ("--offset", root["start"], "--sizelimit", root["end"] - root["start"])
    with (
        loop_device(target, *window, sector_size=way.sector_size) as device,
        mounted(device, way.folder / "mounted") as place,
    ):
        assert (place / "file").read_text() == "text"
