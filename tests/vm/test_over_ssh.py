"""An orchestrator deploys over SSH: one at a time, which outlives the connection and can be stopped."""

import json
import shlex
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from testbed.deployment import request_for, used_disk
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.large_image import large_image
from testbed.rescue import RescueSystem
from testbed.server_config import Disk, ServerConfig
from testbed.ssh import RemoteResult, SshConnection
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

SECONDS = 300.0
MIB = 1 << 20
DISK_BYTES = 512 * MIB
# Of which half is random: 64 MiB to download.
SIZE, DATA = 320 * MIB, 128 * MIB
# Bytes a second: it takes more than two minutes, unless the limit is lifted.
SLOW = 500_000


@pytest.fixture(scope="module")
def image(small_image: ImageFile, tmp_path_factory: pytest.TempPathFactory) -> ImageFile:
    return large_image(small_image, tmp_path_factory.mktemp("large"), size=SIZE, data=DATA).qcow2


@contextmanager
def slow_request(image: ImageFile) -> Iterator[tuple[bytes, FileServer]]:
    """A request whose image comes slowly, and is written while it comes."""
    with FileServer(image.path.parent, bytes_per_second=SLOW) as server:
        request = request_for(image, server.url(image.path.name), hostname="over-ssh")
        yield json.dumps(request | {"options": {"staging": "stream"}}).encode(), server


@pytest.fixture(scope="module")
def server(rescue: RescueSystem, disks: Path) -> Iterator[VirtualServer]:
    disk = Disk(path=used_disk(disks / "disk", DISK_BYTES), serial="SSH1")
    with VirtualServer(ServerConfig(name="ssh", disks=(disk,), kernel_boot=rescue.boot())) as running:
        yield running


@pytest.fixture
def shell(server: VirtualServer, rescue: RescueSystem) -> SshConnection:
    return server.wait_for_ssh(rescue.key, timeout=SECONDS)


@contextmanager
def deploying(
    shell: SshConnection, request: bytes, *, terminal: bool = False
) -> Iterator[Future[RemoteResult]]:
    """A deployment that is in the middle of its writing."""
    writes = threading.Event()
    words = "byoi-agent deploy - --yes --json"
    if terminal:  # a terminal would echo the request
        shell.write(request, "/run/request.json")
        words = "byoi-agent deploy /run/request.json --yes --json"

    def look(line: str) -> None:
        if line.startswith("{") and json.loads(line)["event"] == "progress" and '"step": "write"' in line:
            writes.set()

    def run() -> RemoteResult:
        return shell.run(
            *shlex.split(words),
            stdin=b"" if terminal else request,
            timeout=SECONDS,
            on_line=look,
            expect=None,
            terminal=terminal,
        )

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        while not writes.wait(0.1):
            assert not future.done(), future.result()
        yield future


def status(shell: SshConnection) -> Mapping[str, object]:
    answer: Mapping[str, object] = json.loads(shell.output("byoi-agent", "status", "--json", "--full"))
    return answer


@pytest.mark.parametrize("terminal", [False, True], ids=["pipes", "terminal"])
def test_it_outlives_the_connection(
    server: VirtualServer, rescue: RescueSystem, shell: SshConnection, image: ImageFile, *, terminal: bool
) -> None:
    with (
        slow_request(image) as (request, images),
        deploying(shell, request, terminal=terminal) as deployment,
    ):
        shell.cut()
        assert deployment.result(SECONDS).exit_code == 255
        again = server.wait_for_ssh(rescue.key, timeout=SECONDS)
        before = status(again)
        assert (before["status"], before["step"]) == ("doing", "write")
        images.lift_limit()
        followed = again.run("byoi-agent", "status", "--follow", timeout=SECONDS)
    assert "Done: the image is on /dev/vda." in followed.stdout + followed.stderr
    after = status(again)
    assert (after["status"], after["startedAt"]) == ("done", before["startedAt"])


def test_two_at_once_are_refused_and_one_can_be_stopped(shell: SshConnection, image: ImageFile) -> None:
    with slow_request(image) as (request, _), deploying(shell, request) as deployment:
        began = status(shell)["startedAt"]
        second = shell.run("byoi-agent", "deploy", "-", "--yes", "--json", stdin=request, expect=(3,))
        last = json.loads(second.stdout.splitlines()[-1])
        assert (last["event"], last["message"]) == ("error", "Another deployment is running on this server.")
        assert status(shell)["startedAt"] == began, "the first one's status was overwritten"
        said = shell.output("byoi-agent", "cancel")
        result = deployment.result(SECONDS)
    assert "The disk /dev/vda" in said
    assert result.exit_code == 143
    ended = json.loads(result.stdout.splitlines()[-1])
    assert (ended["status"], ended["message"]) == ("error", "The deployment was interrupted.")
    assert ended["diskTouched"] is True
    assert shell.run("byoi-agent", "cancel", expect=(3,)).stderr.startswith(
        "Error: No deployment is running."
    )
