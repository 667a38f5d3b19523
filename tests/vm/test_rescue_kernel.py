"""What only a whole rescue system shows: disks as its kernel sees them, little memory, mounted drives."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testbed.deployment import AgentRun, deploy
from testbed.rescue import RescueSystem
from testbed.server_config import Bus, Disk, ServerConfig
from testbed.ssh import SshConnection
from testbed.vm import VirtualServer

from tests.disk.loop_device import loop_device
from tests.misbehaving_server import Client, MisbehavingServer, Serve, head
from tests.small_images import MIB, esp_with_loader, gpt_image, put, qcow2, tool

pytestmark = pytest.mark.vm

BOOT_SECONDS = 300.0
DISK_BYTES = 160 * MIB
MEMORY_MIB = 1536
HOST = "10.0.2.2"
CONFIGDRIVE = {"enable": True, "hostname": "r", "userData": "#!/bin/sh\n# \\n stays \\n\n"}


@pytest.fixture(scope="module")
def shell(rescue: RescueSystem, disks: Path) -> Iterator[SshConnection]:
    """A rescue system with disks of several kinds, and with little memory."""
    config = ServerConfig(
        name="rescue-kernel",
        memory_mib=MEMORY_MIB,
        disks=(
            Disk(path=random_disk(disks / "virtio"), bus=Bus.VIRTIO, serial="VIRT01"),
            Disk(path=random_disk(disks / "scsi"), bus=Bus.SCSI, serial="SCSI01"),
            Disk(
                path=random_disk(disks / "nvme"),
                bus=Bus.NVME,
                serial="NVME01",
                logical_sector=4096,
                physical_sector=4096,
            ),
        ),
        kernel_boot=rescue.boot(),
    )
    with VirtualServer(config) as server:
        yield server.wait_for_ssh(rescue.key, timeout=BOOT_SECONDS)
        server.power_off(timeout=BOOT_SECONDS)


@pytest.fixture(scope="module")
def source() -> Iterator[MisbehavingServer]:
    with MisbehavingServer(host=HOST) as running:
        yield running


def random_disk(path: Path) -> Path:
    path.write_bytes(os.urandom(DISK_BYTES))
    return path


def inventory(shell: SshConnection) -> dict[str, Any]:
    listed: dict[str, Any] = json.loads(shell.output("byoi-agent", "disks", "--json"))
    return listed


def path_of(shell: SshConnection, serial: str) -> str:
    """The by-id link of a disk: names like sda mean nothing."""
    disks = [disk for group in inventory(shell)["groups"] for disk in group["disks"]]
    links: list[str] = next(disk["byId"] for disk in disks if disk["serial"] == serial)
    return links[0]


def run(shell: SshConnection, url: str, kind: str, serial: str, **more: Any) -> AgentRun:
    return deploy(shell, {"URL": url, "type": kind, **more}, "--disk", path_of(shell, serial))


def test_every_disk_is_listed_with_what_udev_knows(shell: SshConnection) -> None:
    listed = inventory(shell)
    disks = {disk["serial"]: disk for group in listed["groups"] for disk in group["disks"]}
    assert {serial: disk["transport"] for serial, disk in disks.items()} == {
        "VIRT01": "virtio",
        "SCSI01": "scsi",
        "NVME01": "nvme",
    }
    assert all(disk["byPath"] and disk["byId"] for disk in disks.values())
    assert disks["NVME01"]["logicalSectorSize"] == 4096
    assert [group["id"] for group in listed["groups"]] == [1, 2, 3]
    assert listed["defaultGroupId"] == 1


def test_group_numbers_are_the_same_in_another_look(shell: SshConnection) -> None:
    assert inventory(shell) == inventory(shell)


def digest(shell: SshConnection, serial: str) -> str:
    return shell.output("sha256sum", path_of(shell, serial)).split()[0]


@pytest.mark.parametrize("length_known", [True, False])
def test_an_image_larger_than_memory(
    shell: SshConnection, source: MisbehavingServer, tmp_path: Path, length_known: bool
) -> None:
    start = qcow2(gpt_image(tmp_path / "image.raw")).read_bytes()[:65536]
    url = source.on("/huge", Endless(start, 8 << 30 if length_known else None))
    before = digest(shell, "VIRT01")
    ended = run(shell, url, "qcow2", "VIRT01", options={"staging": "memory"})
    assert ended.exit_code == 3, ended.stderr
    assert ended.last["message"] == "Could not download, qcow2 image is too big to download in memory."
    assert ended.last["diskTouched"] is False
    assert digest(shell, "VIRT01") == before
    # The machine has not run out: nothing was killed for memory.
    assert "Out of memory" not in shell.output("dmesg")


class Endless:
    """Begins like an image and does not end before the client has had enough."""

    def __init__(self, start: bytes, length: int | None) -> None:
        self._start = start
        self._length = length

    def __call__(self, client: Client) -> None:
        client.send(head(200, {} if self._length is None else {"Content-Length": str(self._length)}))
        client.send(self._start)
        while True:
            client.send(bytes(MIB))


def test_the_iso_is_mounted_by_the_kernel(
    shell: SshConnection, source: MisbehavingServer, tmp_path: Path
) -> None:
    image = qcow2(gpt_image(tmp_path / "image.raw"))
    url = source.on("/image", Serve(image.read_bytes()))
    ended = run(shell, url, "qcow2", "SCSI01", configdrive=CONFIGDRIVE)
    assert ended.exit_code == 0, ended.stderr
    assert user_data_on_drive(shell, "iso9660") == CONFIGDRIVE["userData"]


def test_the_fat_on_4096_byte_sectors_is_mounted_by_the_kernel(
    shell: SshConnection, source: MisbehavingServer, tmp_path: Path
) -> None:
    image = image_4096(tmp_path)
    url = source.on("/image4k", Serve(image.read_bytes()))
    # The image has no boot code: what is asked here is only that the drive can be read.
    options = {"bootType": "uefi"}
    ended = run(shell, url, "qcow2", "NVME01", configdrive=CONFIGDRIVE, options=options)
    assert ended.exit_code == 0, ended.stderr
    # The deployment before this one left a drive on another disk.
    assert any("config-2" in warning for warning in ended.last["warnings"])
    assert user_data_on_drive(shell, "vfat") == CONFIGDRIVE["userData"]


def user_data_on_drive(shell: SshConnection, kind: str) -> str:
    """Find the drive as cloud-init does, mount it, and give its user data."""
    shell.run("udevadm", "settle")
    found = shell.output("blkid", "-t", "LABEL=config-2", "-o", "device").split()
    kinds = {device: shell.output("blkid", "-s", "TYPE", "-o", "value", device) for device in found}
    device = next(device for device, its in kinds.items() if its == kind)
    shell.run("mount", "-o", "ro", device, "/mnt")
    try:
        return shell.run("cat", "/mnt/openstack/latest/user_data").stdout
    finally:
        shell.run("umount", "/mnt")


def image_4096(folder: Path) -> Path:
    """A qcow2 image for 4096-byte sectors with an ESP and a partition for data."""
    raw = folder / "4k.raw"
    raw.touch()
    os.truncate(raw, 96 * MIB)
    with loop_device(raw, sector_size=4096) as device:
        tool("sgdisk", "-n", "15:256:+32M", "-t", "15:ef00", "-n", "1:0:0", "-t", "1:8300", device)
    put(raw, MIB, esp_with_loader(folder / "esp", 32 * MIB, sector_size=4096))
    return qcow2(raw)
