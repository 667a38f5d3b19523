"""A disk that fails in the middle of the write: the agent says so, and the disk does not boot.

The same disk takes the image when nothing is wrong with it, and boots: the proof that the test can tell.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.deployment import AgentRun, deploy, request_for
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.rescue import RescueSystem
from testbed.server_config import Disk, ServerConfig
from testbed.ssh import SshConnection
from testbed.tiny_image import GREETING
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

BOOT_SECONDS = 300.0
DISK_BYTES = 512 << 20
# In sectors of 512 bytes: 64 MiB from 20 MiB on, where erasing does not reach, but the image does.
GOOD_SECTORS = 20 << 11
BAD_SECTORS = 64 << 11
ALL_SECTORS = DISK_BYTES // 512


@pytest.fixture(scope="module")
def disk(disks: Path) -> Disk:
    path = disks / "broken"
    with path.open("wb") as content:
        content.truncate(DISK_BYTES)
    return Disk(path=path, serial="BROKEN01")


@pytest.fixture(scope="module")
def shell(rescue: RescueSystem, disk: Disk) -> Iterator[SshConnection]:
    config = ServerConfig(name="write-error", disks=(disk,), kernel_boot=rescue.boot())
    with VirtualServer(config) as server:
        yield server.wait_for_ssh(rescue.key, timeout=BOOT_SECONDS)
        server.power_off(timeout=BOOT_SECONDS)


def run_on(shell: SshConnection, image: ImageFile, server: FileServer, target: str) -> AgentRun:
    request = request_for(image, server.url(image.path.name), hostname="broken")
    return deploy(shell, request, "--disk", target)


def broken_device(shell: SshConnection) -> str:
    """A device over the disk on which a stretch cannot be written, nor read."""
    rest = ALL_SECTORS - GOOD_SECTORS - BAD_SECTORS
    after = GOOD_SECTORS + BAD_SECTORS
    table = (
        f"0 {GOOD_SECTORS} linear /dev/vda 0\n"
        f"{GOOD_SECTORS} {BAD_SECTORS} error\n"
        f"{after} {rest} linear /dev/vda {after}\n"
    )
    shell.run("dmsetup", "create", "broken", stdin=table.encode())
    shell.run("udevadm", "settle")
    return "/dev/mapper/broken"


@pytest.fixture(scope="module")
def failed(shell: SshConnection, small_image: ImageFile, image_server: FileServer) -> AgentRun:
    device = broken_device(shell)
    run = run_on(shell, small_image, image_server, device)
    shell.run("dmsetup", "remove", "--retry", "broken")
    return run


def test_the_message_is_the_documented_one(failed: AgentRun) -> None:
    assert failed.exit_code == 5, f"{failed.last}\n{failed.stderr}"
    assert failed.last["status"] == "error"
    assert failed.last["message"] == "Can't write qcow2 on disk."
    assert failed.last["diskTouched"] is True
    assert failed.last["detail"]


def test_the_disk_does_not_boot(failed: AgentRun, disk: Disk) -> None:
    with VirtualServer(ServerConfig(name="broken-disk", disks=(snapshot(disk),))) as server:
        server.wait_for_no_boot(timeout=60)
        assert GREETING not in server.console.text()


def test_the_same_request_succeeds_once_the_disk_works(
    failed: AgentRun, shell: SshConnection, small_image: ImageFile, image_server: FileServer, disk: Disk
) -> None:
    run = run_on(shell, small_image, image_server, "/dev/vda")
    assert run.exit_code == 0, f"{run.last}\n{run.stderr}"
    with VirtualServer(ServerConfig(name="mended-disk", disks=(snapshot(disk),))) as server:
        server.wait_for_text(GREETING, timeout=60)


def snapshot(disk: Disk) -> Disk:
    """A copy as the disk is now: the rescue server still runs, and QEMU lets no two servers have one file."""
    copy = disk.path.with_name("copy")
    copy.write_bytes(disk.path.read_bytes())
    return Disk(path=copy, serial=disk.serial)
