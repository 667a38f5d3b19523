"""A server that is booted with a request on the kernel's command line does all by itself."""

from pathlib import Path

import pytest
from testbed.deployment import request_for, used_disk
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.provisioning import Provisioning
from testbed.rescue import RescueSystem
from testbed.server_config import Disk, ServerConfig
from testbed.tiny_image import GREETING
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

BOOT_SECONDS = 300.0
DISK_BYTES = 512 << 20
SERVICE = "ns1.example"


def test_it_deploys_reports_and_reboots(
    rescue: RescueSystem, small_image: ImageFile, image_server: FileServer, disks: Path
) -> None:
    disk = Disk(path=used_disk(disks / "disk", DISK_BYTES), serial="BOOTMODE1")
    request = request_for(small_image, image_server.url(small_image.path.name), hostname="r")
    with Provisioning(request, service=SERVICE) as provisioning:
        boot = rescue.boot(*provisioning.boot_parameters)
        with VirtualServer(ServerConfig(name="boot-mode", disks=(disk,), kernel_boot=boot)) as server:
            server.wait_for(provisioning.has_ended, timeout=BOOT_SECONDS, what="the end of the deployment")
            server.wait_for_reset(timeout=BOOT_SECONDS)
            shown = server.console.text()
        told = provisioning.statuses
    assert told[-1]["status"] == "done", told[-1]
    assert {one["servername"] for one in told} == {SERVICE}
    assert (told[0]["status"], told[0]["message"]) == ("doing", "starting")
    # Each step is told, when it begins and when it has ended.
    steps = [step["name"] for step in told[-1]["steps"]]
    assert [name for name in dict.fromkeys(one["step"] for one in told) if name] == steps
    assert "Writing the image ..." in shown
    assert "Done: the image is on " in shown
    with VirtualServer(ServerConfig(name="booted", disks=(disk,))) as server:
        server.wait_for_text(GREETING, timeout=60)


def test_after_an_error_it_stays_and_says_how_to_reach_it(
    rescue: RescueSystem, small_image: ImageFile, image_server: FileServer, disks: Path
) -> None:
    disk = Disk(path=used_disk(disks / "disk2", DISK_BYTES), serial="BOOTMODE2")
    request = request_for(small_image, image_server.url(small_image.path.name), hostname="r")
    with Provisioning(request | {"checkSum": "0" * 64}, service=SERVICE) as provisioning:
        boot = rescue.boot(*provisioning.boot_parameters)
        with VirtualServer(ServerConfig(name="boot-mode", disks=(disk,), kernel_boot=boot)) as server:
            server.wait_for(provisioning.has_ended, timeout=BOOT_SECONDS, what="the end of the deployment")
            server.wait_for_text("ssh root@10.0.2.15", timeout=60)
            shell = server.wait_for_ssh(rescue.key, timeout=BOOT_SECONDS)
            unit = shell.run("systemctl", "is-failed", "byoi-agent-boot", expect=None)
            assert unit.stdout.strip() == "failed"
            assert not server.qmp.event_count("RESET")
            shown = server.console.text()
        told = provisioning.statuses
    assert told[-1]["message"].startswith("Bad sha256 for downloaded file, got : ")
    assert told[-1]["diskTouched"] is False
    assert "Error: Bad sha256 for downloaded file" in shown
    assert "t0ken" not in shown
