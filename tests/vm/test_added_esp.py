"""An image that only legacy firmware could start, deployed on a UEFI server, boots from the disk alone.

The added loader follows the image's own configuration: a kernel that the system adds to its menu boots next.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.deployment import deploy, request_for, used_disk, wait_for_cloud_init
from testbed.file_server import FileServer
from testbed.image_recipe import LEGACY_ONLY
from testbed.keys import KeyPair
from testbed.rescue import RescueSystem
from testbed.sample_image import sample_image
from testbed.server_config import Disk, Firmware, ServerConfig
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

BOOT_SECONDS = 300.0
DISK_BYTES = 6 << 30
NEW_KERNEL = "99.0-test"


@pytest.fixture(scope="module")
def server(rescue: RescueSystem, user_key: KeyPair, disks: Path) -> Iterator[VirtualServer]:
    """The deployed system, with an empty variable store."""
    image = sample_image(LEGACY_ONLY).qcow2
    disk = Disk(path=used_disk(disks / "disk.raw", DISK_BYTES), serial="ESP01")
    in_rescue = ServerConfig(
        name="esp-rescue", firmware=Firmware.UEFI, disks=(disk,), kernel_boot=rescue.boot()
    )
    with FileServer(image.path.parent) as source, VirtualServer(in_rescue) as running:
        shell = running.wait_for_ssh(rescue.key, timeout=BOOT_SECONDS)
        wanted = request_for(image, source.url(image.path.name), hostname="esp", ssh_key=user_key.public)
        agent = deploy(shell, wanted)
        assert agent.exit_code == 0, f"{agent.events[-3:]}\n{agent.stderr}"
        assert "esp" in [event["step"] for event in agent.named("step_finished")]
        assert shell.run("mount", expect=None).stdout.count("byoi-view") == 0
        running.power_off(timeout=BOOT_SECONDS)
    with VirtualServer(ServerConfig(name="esp-disk", firmware=Firmware.UEFI, disks=(disk,))) as running:
        yield running


def test_it_boots_with_an_empty_variable_store(server: VirtualServer, user_key: KeyPair) -> None:
    guest = server.wait_for_ssh(user_key, user="debian", timeout=BOOT_SECONDS)
    assert wait_for_cloud_init(guest, timeout=BOOT_SECONDS) == []
    assert guest.output("hostname") == "esp"
    assert guest.run("test", "-d", "/sys/firmware/efi").exit_code == 0


def test_a_new_kernel_in_its_menu_boots_next(server: VirtualServer, user_key: KeyPair) -> None:
    guest = server.wait_for_ssh(user_key, user="debian", timeout=BOOT_SECONDS)
    release = guest.output("uname", "-r")
    for name in ("vmlinuz", "initrd.img"):
        guest.run("sudo", "cp", f"/boot/{name}-{release}", f"/boot/{name}-{NEW_KERNEL}")
    guest.run("sudo", "update-grub", timeout=BOOT_SECONDS)
    seen = server.qmp.event_count("RESET")
    guest.run("sudo", "systemctl", "reboot", expect=None)
    server.wait_for_reset(timeout=BOOT_SECONDS, already_seen=seen)
    server.close_connections()
    again = server.wait_for_ssh(user_key, user="debian", timeout=BOOT_SECONDS)
    assert f"BOOT_IMAGE=/boot/vmlinuz-{NEW_KERNEL} " in again.output("cat", "/proc/cmdline")
