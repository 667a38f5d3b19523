"""The calls, served by the systemd unit on a server in its rescue system: deploy, poll until done, reboot."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from testbed.build import CHECKOUT
from testbed.deployment import request_for, used_disk
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.rescue import RescueSystem
from testbed.server_config import Disk, ServerConfig
from testbed.ssh import SshConnection
from testbed.tiny_image import GREETING
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

SECONDS = 300.0
DISK_BYTES = 512 << 20
UNIT = "byoi-agent-serve.service"
SERVICE = "ns1.example"
URL = f"http://127.0.0.1:8080/1.0/dedicated/server/{SERVICE}/bringYourOwnImage"
CALL = """\
import sys, urllib.request
body = sys.stdin.buffer.read() or None
headers = {"Content-Type": "application/json"}
request = urllib.request.Request(sys.argv[1], body, headers, method=sys.argv[2])
print(urllib.request.urlopen(request).read().decode())
"""


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(path=used_disk(tmp_path / "disk", DISK_BYTES), serial="SERVE1")


@pytest.fixture
def server(rescue: RescueSystem, disk: Disk) -> Iterator[VirtualServer]:
    with VirtualServer(ServerConfig(name="serve", disks=(disk,), kernel_boot=rescue.boot())) as running:
        yield running


def call(shell: SshConnection, method: str, body: object = None) -> Any:
    text = b"" if body is None else json.dumps(body).encode()
    return json.loads(shell.run("python3", "-c", CALL, URL, method, stdin=text).stdout)


def start_unit(server: VirtualServer, shell: SshConnection) -> None:
    shell.copy(CHECKOUT / "packaging/systemd" / UNIT, f"/etc/systemd/system/{UNIT}")
    shell.run("systemctl", "daemon-reload")
    shell.run("systemctl", "start", UNIT)
    asks = ("python3", "-c", CALL, "http://127.0.0.1:8080/1.0/auth/time", "GET")
    server.wait_for(
        lambda: shell.run(*asks, expect=None).exit_code == 0, timeout=SECONDS, what="an answer of the server"
    )


def test_a_call_deploys_and_the_server_reboots_when_done_has_been_seen(
    rescue: RescueSystem, server: VirtualServer, disk: Disk, small_image: ImageFile, image_server: FileServer
) -> None:
    shell = server.wait_for_ssh(rescue.key, timeout=SECONDS)
    start_unit(server, shell)
    request = request_for(small_image, image_server.url(small_image.path.name), hostname="r")
    assert call(shell, "POST", request) is None
    seen: list[Mapping[str, str]] = []

    def has_ended() -> bool:
        seen.append(call(shell, "GET"))
        return seen[-1]["status"] != "doing"

    server.wait_for(has_ended, timeout=SECONDS, what="the end of the deployment")
    assert seen[-1]["status"] == "done", seen[-1]
    assert seen[-1]["servername"] == SERVICE
    shell.run("systemctl", "stop", UNIT)  # the reboot does not depend on it
    server.wait_for_reset(timeout=SECONDS)
    server.kill()
    with VirtualServer(ServerConfig(name="booted", disks=(disk,))) as booted:
        booted.wait_for_text(GREETING, timeout=60)
