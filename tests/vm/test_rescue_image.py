"""The rescue system as it is shipped: from the network by iPXE, or from a CD, to the image, by itself."""

from pathlib import Path

import pytest
from testbed.deployment import request_for, used_disk
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.keys import KeyPair
from testbed.provisioning import Provisioning
from testbed.rescue import COMMAND_LINE, RescueSystem
from testbed.rescue_image import INITRD, KERNEL, SCRIPT, write_script
from testbed.rescue_iso import build_iso
from testbed.server_config import Disk, Firmware, NetworkBoot, ServerConfig
from testbed.tiny_image import GREETING
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

SECONDS = 400.0
SERVICE = "ns1.example"
SMALL, LARGE = 512 << 20, 8 << 30
ORIGINS = ("network", "medium")


def parameters(key: KeyPair, provisioning: Provisioning) -> str:
    return " ".join((*provisioning.boot_parameters, f"byoi.ssh-key={key.public.replace(' ', '%20')}"))


def server(
    origin: str, words: str, rescue: RescueSystem, disk: Disk, firmware: Firmware, directory: Path
) -> ServerConfig:
    """A server whose firmware looks at the disk, and then at what `origin` says."""
    command_line = f"{COMMAND_LINE} {words}"
    if origin == "medium":
        iso = directory / "rescue.iso"
        build_iso(rescue.files, command_line, iso)
        return ServerConfig(name=origin, firmware=firmware, disks=(disk,), medium=iso)
    (directory / KERNEL).symlink_to(rescue.files.kernel)
    (directory / INITRD).symlink_to(rescue.files.initrd)
    write_script(directory / SCRIPT, command_line)
    boot = NetworkBoot(directory=directory, file=SCRIPT)
    return ServerConfig(name=origin, firmware=firmware, disks=(disk,), network_boot=boot)


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_legacy_server_with_an_empty_disk_needs_no_hand(
    origin: str, rescue: RescueSystem, small_image: ImageFile, image_server: FileServer, tmp_path: Path
) -> None:
    disk = Disk(path=used_disk(tmp_path / "disk", SMALL), serial="NETBOOT1")
    request = request_for(small_image, image_server.url(small_image.path.name), hostname="r")
    with Provisioning(request, service=SERVICE) as provisioning:
        words = parameters(rescue.key, provisioning)
        with VirtualServer(server(origin, words, rescue, disk, Firmware.LEGACY, tmp_path)) as running:
            running.wait_for_text(GREETING, timeout=SECONDS)
        told = provisioning.statuses
    assert (told[0]["status"], told[0]["message"]) == ("doing", "starting")
    assert told[-1]["status"] == "done", told[-1]
    assert [step["state"] for step in told[-1]["steps"]] == ["done"] * len(told[-1]["steps"])


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_uefi_server_with_an_empty_disk_needs_no_hand(
    origin: str,
    rescue: RescueSystem,
    cloud_image: ImageFile,
    image_server: FileServer,
    user_key: KeyPair,
    tmp_path: Path,
) -> None:
    disk = Disk(path=used_disk(tmp_path / "disk", LARGE), serial="NETBOOT2")
    url = image_server.url(cloud_image.path.name)
    request = request_for(cloud_image, url, hostname=origin, ssh_key=user_key.public)
    with Provisioning(request, service=SERVICE) as provisioning:
        words = parameters(rescue.key, provisioning)
        with VirtualServer(server(origin, words, rescue, disk, Firmware.UEFI, tmp_path)) as running:
            running.wait_for(provisioning.has_ended, timeout=SECONDS, what="the end of the deployment")
            running.wait_for_reset(timeout=SECONDS)
            guest = running.wait_for_ssh(user_key, user="debian", timeout=SECONDS)
            assert guest.output("hostname") == origin
        told = provisioning.statuses
    assert told[-1]["status"] == "done", told[-1]


def test_keys_of_the_command_line_open_it_and_no_host_key_is_shared(
    rescue: RescueSystem, user_key: KeyPair, tmp_path: Path
) -> None:
    written = user_key.public.replace(" ", "%20")
    seen = []
    for word in (f"byoi.ssh-key={written}", f'byoi.ssh-key="{user_key.public}"'):
        boot = rescue.boot("byoi.ssh-key=ssh-ed25519%20AAAA", word)
        with VirtualServer(ServerConfig(name="keys", kernel_boot=boot)) as running:
            shell = running.wait_for_ssh(user_key, timeout=SECONDS)
            seen.append(shell.output("cat", "/etc/ssh/ssh_host_ed25519_key.pub"))
    assert len(set(seen)) == len(seen)
