"""Naming a disk directly, with real devices, and knowing it again when it is opened."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from partitioning.disk_selection import disk_at
from partitioning.errors import DiskBusy, DiskNotFound, DiskUnsuitable
from partitioning.identity import assert_same_disk
from partitioning.inventory import read_inventory
from partitioning.open_disk import open_exclusively
from tests.disk.loop_device import command, detach, loop_device, mounted, sparse_file
from tests.disk.old_contents import MIB

pytestmark = pytest.mark.disk


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return sparse_file(tmp_path / "disk.img", 16 * MIB)


@pytest.fixture(params=[512, 4096])
def device(request: pytest.FixtureRequest, image: Path) -> Iterator[Path]:
    with loop_device(image, sector_size=request.param) as path:
        yield path


def test_a_device_outside_the_inventory_by_a_link(device: Path, tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to(device)
    disk = disk_at(link, read_inventory())
    assert (disk.path, disk.sysname, disk.size) == (device, device.name, 16 * MIB)
    assert disk.sector_size == int(command("blockdev", "--getss", device))
    number = device.stat().st_rdev
    assert disk.devno == f"{number >> 8}:{number & 0xFF}"
    assert disk.diskseq == int(Path("/sys/block", device.name, "diskseq").read_text())


def test_a_disk_of_the_inventory_is_given_as_it_stands_there() -> None:
    for disk in read_inventory():
        if disk.ignored is None or disk.ignored.name != "READ_ONLY":
            assert disk_at(disk.path, [disk]) is disk


def test_a_sector_size_that_is_not_the_devices(device: Path) -> None:
    sector_size = int(command("blockdev", "--getss", device))
    assert disk_at(device, (), sector_size).sector_size == sector_size
    with pytest.raises(DiskUnsuitable, match=f"has sectors of {sector_size} bytes, not 2048"):
        disk_at(device, (), 2048)


def test_a_partition_is_refused_with_the_name_of_its_disk(device: Path) -> None:
    command("sgdisk", "--zap-all", "--new=3:0:0", device)
    command("partx", "--add", device)
    with pytest.raises(DiskUnsuitable, match=f"It is partition 3 of {device}"):
        disk_at(Path(f"{device}p3"), ())


def test_a_read_only_device(image: Path) -> None:
    with loop_device(image, "--read-only") as device, pytest.raises(DiskUnsuitable, match="is read-only"):
        disk_at(device, ())


def test_a_file_on_a_read_only_file_system(tmp_path: Path) -> None:
    with mounted(Path("tmpfs"), tmp_path / "mnt", "-t", "tmpfs") as place:
        image = sparse_file(place / "disk.img", MIB)
        command("mount", "-o", "remount,ro", place)
        with pytest.raises(DiskUnsuitable, match="can not be written to"):
            disk_at(image, ())


def test_a_device_without_a_medium(image: Path) -> None:
    with loop_device(image) as device:
        detach(device)
        with pytest.raises(DiskUnsuitable, match="has no size"):
            disk_at(device, ())


@pytest.mark.skipif(shutil.which("qemu-io") is None, reason="qemu-utils is not installed")
def test_a_file_that_qemu_has_open(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioning.open_disk._LOCK_WAIT", 0.2)
    qemu = ["qemu-io", "-f", "raw", str(image)]
    with subprocess.Popen(qemu, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("length\n")
        process.stdin.flush()
        assert "16 MiB" in process.stdout.readline()
        with pytest.raises(DiskBusy, match="as a virtual machine does"), open_exclusively(image):
            pass
        process.stdin.close()
    with open_exclusively(image) as disk:
        assert disk.size == 16 * MIB


def test_without_privilege_a_device_is_refused_before_anything_is_written(device: Path) -> None:
    script = f"""
from pathlib import Path
from partitioning.errors import DiskUnsuitable
from partitioning.open_disk import open_exclusively
try:
    with open_exclusively(Path("{device}")):
        print("opened")
except DiskUnsuitable as error:
    print(error)
"""
    lowered = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
    done = command(*lowered, sys.executable, "-c", script)
    assert "CAP_SYS_ADMIN is missing" in done


def test_the_same_disk_is_known_again(device: Path, image: Path) -> None:
    disk = disk_at(device, ())
    with open_exclusively(device) as opened:
        assert_same_disk(disk, opened)
    file = disk_at(image, (), 4096)
    with open_exclusively(image, sector_size=4096) as opened:
        assert_same_disk(file, opened)


def test_a_device_set_up_anew_is_another_disk(image: Path) -> None:
    with loop_device(image) as device:
        disk = disk_at(device, ())
        detach(device)
        command("losetup", device, image)
        with (
            open_exclusively(device) as opened,
            pytest.raises(DiskNotFound, match="disk sequence number") as caught,
        ):
            assert_same_disk(disk, opened)
    assert "Nothing was written" in caught.value.detail


def test_another_device_under_the_same_link(image: Path, tmp_path: Path) -> None:
    other = sparse_file(tmp_path / "other.img", 16 * MIB)
    with loop_device(image) as first, loop_device(other) as second:
        disk = disk_at(first, ())
        with open_exclusively(second) as opened, pytest.raises(DiskNotFound, match="device number"):
            assert_same_disk(disk, opened)


def test_a_device_that_grew(image: Path) -> None:
    with loop_device(image) as device:
        disk = disk_at(device, ())
        with image.open("r+b") as file:
            file.truncate(32 * MIB)
        command("losetup", "--set-capacity", device)
        with (
            open_exclusively(device) as opened,
            pytest.raises(DiskNotFound, match="size 16777216 → 33554432"),
        ):
            assert_same_disk(disk, opened)


def test_a_file_that_was_replaced(image: Path, tmp_path: Path) -> None:
    disk = disk_at(image, ())
    shutil.move(sparse_file(tmp_path / "new.img", 16 * MIB), image)
    with open_exclusively(image) as opened, pytest.raises(DiskNotFound, match=r"file inode \d+ on device 0x"):
        assert_same_disk(disk, opened)


def test_a_file_opened_with_another_sector_size(image: Path) -> None:
    disk = disk_at(image, (), 4096)
    with open_exclusively(image) as opened, pytest.raises(DiskNotFound, match="sector size 4096 → 512"):
        assert_same_disk(disk, opened)
