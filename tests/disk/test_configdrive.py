"""The ConfigDrive on a disk, judged by other people's tools and by cloud-init itself."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from configdrive.drive import DriveImage, build, partition_size, verify, write
from configdrive.find import is_config_drive
from configdrive.metadata import ConfigDriveData
from partitioning.byte_access import RangeReader
from partitioning.open_disk import open_exclusively
from tests import cloud_init_reader

pytestmark = pytest.mark.disk

MIB = 1 << 20
START = 7 * MIB
SECTOR_SIZES = [512, 4096]
USER_DATA = {
    "script": b"#!/bin/sh\nprintf 'a\\nb'\n",
    "backslash-n": b"#cloud-config\\nruncmd: []\\n",
    "crlf": b"#!/bin/sh\r\necho a\r\n",
    "nul": b"a\0b\0\0",
    "not-utf-8": bytes(range(256)),
    "no-final-newline": b"#cloud-config\nruncmd: [ls]",
    "empty": b"",
    "16-mib": bytes(range(255)) * (16 * MIB // 255),
}
KEYS = tuple(f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{number:02d} user@host" for number in range(11))
META = {"role": "db", "ключ": "\u2028 'quoted' \"too\"", "backslash": "a\\nb"}
NETWORK = {
    "links": [{"id": "l0", "type": "phy", "ethernet_mac_address": "02:00:00:00:00:01", "name": "eth0"}],
    "networks": [{"id": "n0", "link": "l0", "type": "ipv4_dhcp", "network_id": "x"}],
    "services": [],
}
VENDOR = {"cloud-init": "#cloud-config\npackages: []\n"}
FULL = ConfigDriveData(
    instance_uuid=uuid.UUID("6b9f4c1e-3d4f-4a0a-9b0e-0c5f4f1f2a3b"),
    hostname="web.example.org",
    ssh_keys=KEYS,
    user_data=USER_DATA["script"],
    meta=META,
    network_data=NETWORK,
    vendor_data=VENDOR,
)


def tool(*argv: str | Path) -> str:
    done = subprocess.run(argv, check=True, capture_output=True, timeout=120)
    return done.stdout.decode(errors="replace")


def disk_with(image: DriveImage, folder: Path) -> Path:
    """Make a disk full of random bytes with the drive in a partition that is larger than it."""
    disk = folder / "disk"
    size = partition_size(image) + MIB
    disk.write_bytes(os.urandom(START + size + 3 * MIB))
    with open_exclusively(disk, sector_size=image.sector_size) as store:
        write(store, START, size, image)
        store.flush()
        store.drop_cache()
        verify(store, START, image)
        assert is_config_drive(RangeReader(store, START, size))
    return disk


def partition_of(disk: Path, image: DriveImage) -> Path:
    """Copy the partition into a file of its own."""
    copy = disk.with_name("partition")
    with disk.open("rb") as stream:
        stream.seek(START)
        copy.write_bytes(stream.read(partition_size(image) + MIB))
    return copy


def extracted(disk: Path, image: DriveImage) -> Path:
    """Get the files out with the tools that have nothing to do with how they got in."""
    out = disk.with_name("out")
    if image.kind == "iso9660":
        tool("xorriso", "-indev", partition_of(disk, image), "-osirrox", "on", "-extract", "/", out)
        tool("chmod", "-R", "u+rwX", out)
    else:
        out.mkdir()
        tool("mcopy", "-s", "-n", "-i", f"{disk}@@{START}", "::openstack", out)
    return out


@contextmanager
def loop_device(disk: Path, image: DriveImage) -> Iterator[str]:
    """Show the partition as a block device with the disk's sector size."""
    if os.geteuid() != 0:
        pytest.skip("a loop device needs root")
    argv = ["losetup", "--find", "--show", "--read-only", "--sector-size", str(image.sector_size)]
    size = partition_size(image) + MIB
    device = tool(*argv, "--offset", str(START), "--sizelimit", str(size), disk).strip()
    try:
        yield device
    finally:
        tool("losetup", "--detach", device)


def blkid(path: str | Path) -> dict[str, str]:
    lines = tool("blkid", "--probe", "--output", "export", path).splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_cloud_init_reads_everything(sector_size: int, tmp_path: Path) -> None:
    image = build(FULL, sector_size=sector_size)
    found = cloud_init_reader.read(extracted(disk_with(image, tmp_path), image))
    assert found.taken
    assert found.version == 2
    assert found.dsmode == "net"
    assert found.instance_id == str(FULL.instance_uuid)
    assert found.hostname == "web"
    assert found.metadata["local-hostname"] == "web.example.org"
    assert found.ssh_keys == list(KEYS)
    assert found.metadata["meta"] == META
    assert found.userdata == USER_DATA["script"]
    assert found.networkdata == NETWORK
    (interface,) = found.network_config["config"]
    assert (interface["mac_address"], interface["subnets"]) == ("02:00:00:00:00:01", [{"type": "dhcp4"}])
    assert found.vendordata == VENDOR


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
@pytest.mark.parametrize("user_data", USER_DATA.values(), ids=USER_DATA)
def test_cloud_init_gets_the_user_data_byte_for_byte(
    user_data: bytes, sector_size: int, tmp_path: Path
) -> None:
    data = ConfigDriveData(instance_uuid=uuid.UUID(int=1), user_data=user_data)
    image = build(data, sector_size=sector_size)
    found = cloud_init_reader.read(extracted(disk_with(image, tmp_path), image))
    assert found.userdata == user_data


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_cloud_init_is_content_with_the_least(sector_size: int, tmp_path: Path) -> None:
    image = build(ConfigDriveData(instance_uuid=uuid.UUID(int=1)), sector_size=sector_size)
    found = cloud_init_reader.read(extracted(disk_with(image, tmp_path), image))
    assert found.taken
    assert (found.hostname, found.userdata, found.ssh_keys) == (None, None, [])
    assert (found.networkdata, found.vendordata) == (None, None)


@pytest.mark.parametrize("version", ["latest", "2018-08-27"])
def test_cloud_init_reads_either_version_alone(version: str, tmp_path: Path) -> None:
    for path, content in build(FULL, sector_size=512).files.items():
        if path.startswith(f"openstack/{version}/"):
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    assert cloud_init_reader.read(tmp_path).hostname == "web"


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_blkid_sees_the_label_in_the_partition(sector_size: int, tmp_path: Path) -> None:
    image = build(FULL, sector_size=sector_size)
    found = blkid(partition_of(disk_with(image, tmp_path), image))
    assert (found["TYPE"], found["LABEL"]) == (image.kind, "config-2")


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_blkid_sees_the_label_on_a_block_device(sector_size: int, tmp_path: Path) -> None:
    image = build(FULL, sector_size=sector_size)
    with loop_device(disk_with(image, tmp_path), image) as device:
        assert tool("blockdev", "--getss", device).strip() == str(sector_size)
        found = blkid(device)
    assert (found["TYPE"], found["LABEL"]) == (image.kind, "config-2")
    # What cannot be mounted: a file system whose blocks are smaller than the device's sectors.
    assert int(found["BLOCK_SIZE"]) >= sector_size


@pytest.mark.parametrize("length", [0, 100, 8 * MIB, 16 * MIB])
@pytest.mark.parametrize("sector_size", [1024, 2048, 4096])
def test_fsck_finds_nothing_to_mend(sector_size: int, length: int, tmp_path: Path) -> None:
    data = ConfigDriveData(instance_uuid=uuid.UUID(int=1), user_data=os.urandom(length), network_data=NETWORK)
    image = build(data, sector_size=sector_size)
    path = tmp_path / "image"
    path.write_bytes(image.data)
    _, summary = tool("fsck.vfat", "-n", path).splitlines()
    entries = len(image.files) + len(("the label", "openstack", "latest", "2018-08-27"))
    assert f": {entries} files, " in summary
    assert f"{sector_size} bytes per logical sector" in tool("fsck.vfat", "-n", "-v", path)


def test_the_whole_disk_takes_a_fat_that_mtools_lists(tmp_path: Path) -> None:
    image = build(FULL, sector_size=4096)
    disk = disk_with(image, tmp_path)
    listed = tool("mdir", "-/", "-b", "-i", f"{disk}@@{START}", "::").splitlines()
    names = {line.removeprefix("::/") for line in listed if not line.endswith("/")}
    assert names == set(image.files)


@pytest.mark.parametrize("trees", ["any", "norock"])
def test_rock_ridge_and_joliet_both_show_the_names_in_full(trees: str, tmp_path: Path) -> None:
    image = build(FULL, sector_size=512)
    partition = partition_of(disk_with(image, tmp_path), image)
    argv = ["xorriso", "-read_fs", trees, "-indev", str(partition), "-find", "/", "-type", "f"]
    names = {line.strip("'").removeprefix("/") for line in tool(*argv).splitlines()}
    assert names == set(image.files)


def test_the_volume_descriptors_say_config_2(tmp_path: Path) -> None:
    image = build(FULL, sector_size=512)
    partition = partition_of(disk_with(image, tmp_path), image)
    assert "Volume Id    : config-2\n" in tool("xorriso", "-indev", partition, "-pvd_info")
