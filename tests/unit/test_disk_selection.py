import os
from pathlib import Path

import pytest

from partitioning.disk_selection import choose, disk_at
from partitioning.disks import DiskKind, IgnoredReason, file_disk, format_size
from partitioning.errors import DiskNotFound, DiskUnsuitable
from partitioning.group_config import DiskMatch, GroupConfig, PinnedGroup
from tests.unit.test_groups import HDD, MACHINE, SSDS, disk


def test_the_first_disk_of_the_default_group() -> None:
    assert choose(MACHINE, None, None).serial == "S0"
    assert choose(MACHINE, None, 0).serial == "S0"
    assert choose(MACHINE, GroupConfig(default=3), None).serial == "N0"


def test_the_first_disk_of_a_named_group() -> None:
    assert choose(MACHINE, None, 2).serial == "H0"


def test_an_unknown_group_lists_those_there_are() -> None:
    usb = disk("sdz", "usb", ignored=IgnoredReason.USB)
    with pytest.raises(DiskNotFound) as caught:
        choose([*MACHINE, usb], None, 7)
    assert caught.value.message == "There is no disk group 7."
    assert caught.value.detail == (
        "Groups: 1 = 3 x 480 GB SSD (/dev/sda, /dev/sdb, /dev/sdc); 2 = 1 x 4 TB HDD (/dev/sdd); "
        "3 = 2 x 960 GB NVMe (/dev/nvme0n1, /dev/nvme1n1). In no group: /dev/sdz is a USB disk."
    )


def test_a_machine_without_disks() -> None:
    with pytest.raises(DiskNotFound) as caught:
        choose([], None, None)
    assert caught.value.detail == "No disk is in any group."
    assert "driver" in caught.value.hint


def test_a_pinned_group_that_no_disk_fits() -> None:
    config = GroupConfig(default=4, pinned=(PinnedGroup(id=4, matches=(DiskMatch(serial="gone"),)),))
    with pytest.raises(DiskNotFound) as caught:
        choose([HDD], config, None)
    assert caught.value.detail == (
        "No disk fits what the disk group file says of it. Groups: 1 = 1 x 4 TB HDD (/dev/sdd)."
    )


def test_a_regular_file(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(8192))
    link = tmp_path / "link"
    link.symlink_to(path)
    found = disk_at(link, SSDS, 4096)
    assert (found.path, found.kind, found.size, found.sector_size) == (path, DiskKind.FILE, 8192, 4096)
    assert found.file_id is not None
    assert found.file_id.inode == path.stat().st_ino
    assert disk_at(path, SSDS).sector_size == 512


@pytest.mark.parametrize("size", [0, 512, 4097])
def test_a_file_of_no_use(tmp_path: Path, size: int) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(size))
    with pytest.raises(DiskUnsuitable, match=f"{size} bytes"):
        file_disk(path, sector_size=4096)


def test_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(DiskNotFound, match="No such file"):
        disk_at(tmp_path / "none", SSDS)


@pytest.mark.parametrize(("path", "what"), [("/dev/null", "a character device"), ("/tmp", "a directory")])
def test_what_is_no_disk(path: str, what: str) -> None:
    with pytest.raises(DiskUnsuitable, match=f"It is {what}"):
        disk_at(Path(path), SSDS)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DiskUnsuitable, match="a pipe or socket"):
        disk_at(tmp_path / "pipe", SSDS)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (512, "512 B"),
        (480_103_981_056, "480 GB"),
        (1_920_383_410_176, "1.92 TB"),
        (16_000_900_661_248, "16 TB"),
        (999_999_999_999, "1 TB"),
        (2_000_000_000_000_000, "2000 TB"),
    ],
)
def test_sizes_are_shown_as_they_are_sold(size: int, text: str) -> None:
    assert format_size(size) == text


def test_a_disk_on_one_line() -> None:
    assert SSDS[0].describe() == "/dev/sda: 480 GB SSD, INTEL SSDSC2BB48, serial S0"
