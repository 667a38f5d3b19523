"""The single file on a rescue system that knows nothing of it: it says what is missing, and then deploys."""

import json
from pathlib import Path

import pytest
from distribution.single_file import build_single_file
from testbed.cache import Cache
from testbed.deployment import request_for, used_disk
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.server_config import Disk, ServerConfig
from testbed.ssh import SshConnection
from testbed.stock_rescue import repository, stock_rescue
from testbed.tiny_image import GREETING
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

CHECKOUT = Path(__file__).parents[2]
BOOT_SECONDS = 300.0
DISK_BYTES = 512 << 20
FILE = "/root/byoi-agent.pyz"
# What the doctor names on a legacy server with a plain Debian 12.
MISSING = ("qemu-utils",)


def test_from_a_stock_rescue_system_to_a_server_that_boots(
    small_image: ImageFile, image_server: FileServer, disks: Path, tmp_path: Path
) -> None:
    stock = stock_rescue()
    disk = Disk(path=used_disk(disks / "disk", DISK_BYTES), serial="SINGLE01")
    config = ServerConfig(name="stock-rescue", disks=(disk,), kernel_boot=stock.system.boot())
    file = build_single_file(CHECKOUT, tmp_path, Cache())
    with FileServer(repository(stock, MISSING)) as packages, VirtualServer(config) as server:
        shell = server.wait_for_ssh(stock.system.key, timeout=BOOT_SECONDS)
        shell.copy(file, FILE)
        shell.run("chmod", "+x", FILE)
        _install_what_is_missing(shell, packages)
        request = request_for(small_image, image_server.url(small_image.path.name), hostname="r")
        done = shell.run(
            *(FILE, "deploy", "-", "--yes", "--json"), stdin=json.dumps(request).encode(), timeout=300
        )
        assert json.loads(done.stdout.splitlines()[-1])["status"] == "done"
        shell.run(FILE, "status")
    with VirtualServer(ServerConfig(name="booted", disks=(disk,))) as server:
        server.wait_for_text(GREETING, timeout=60)


def _install_what_is_missing(shell: SshConnection, packages: FileServer) -> None:
    """Do as a person would: run the doctor, paste its last line, run it again."""
    first = shell.run(FILE, "doctor", expect=(3,), timeout=120)
    assert "Not ready. What is missing: qemu-img." in first.stdout
    assert "disk group 1" in first.stdout
    command = first.stdout.splitlines()[-1]
    assert command.startswith("apt-get update && apt-get install -y --no-install-recommends ")
    sources = f"deb [trusted=yes] {packages.url('')} /\n"
    shell.run("sh", "-c", "rm -f /etc/apt/sources.list.d/*")
    shell.write(sources.encode(), "/etc/apt/sources.list")
    shell.run("sh", "-c", command, timeout=300)
    second = shell.run(FILE, "doctor", timeout=120)
    assert "Ready: a deployment can be carried out here." in second.stdout
