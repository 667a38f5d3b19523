"""`--reboot` restarts the server when the deployment is done, and only then."""

from pathlib import Path

import pytest
from testbed.deployment import deploy, request_for
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.rescue import RescueSystem
from testbed.server_config import Disk, ServerConfig
from testbed.tiny_image import GREETING
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

BOOT_SECONDS = 300.0
DISK_BYTES = 512 << 20


def test_the_server_restarts_and_the_disk_boots(
    rescue: RescueSystem, small_image: ImageFile, image_server: FileServer, disks: Path
) -> None:
    path = disks / "disk"
    with path.open("wb") as content:
        content.truncate(DISK_BYTES)
    disk = Disk(path=path, serial="REBOOT01")
    with VirtualServer(ServerConfig(name="reboot", disks=(disk,), kernel_boot=rescue.boot())) as server:
        shell = server.wait_for_ssh(rescue.key, timeout=BOOT_SECONDS)
        request = request_for(small_image, image_server.url(small_image.path.name), hostname="r")
        seen, position = server.qmp.event_count("RESET"), server.console.position()
        run = deploy(shell, request, "--reboot")
        # The connection may break before the exit code gets through: ssh then says 255.
        assert run.exit_code in (0, 255), f"{run.last}\n{run.stderr}"
        assert run.last["event"] == "done"
        server.wait_for_reset(timeout=BOOT_SECONDS, already_seen=seen)
        server.close_connections()
        server.wait_for_text("rescue login:", since=position, timeout=BOOT_SECONDS)
    with VirtualServer(ServerConfig(name="rebooted", disks=(disk,))) as server:
        server.wait_for_text(GREETING, timeout=60)
