"""What goes wrong while writing: the disk does not boot, the status says so, and it can be done again."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent_process import (
    CONFIGDRIVE,
    Agent,
    digest,
    events_until,
    request_for,
    started,
)
from tests.disk.conftest import serve
from tests.disk.loop_device import loop_device
from tests.misbehaving_server import MisbehavingServer, Serve, wait_until
from tests.small_images import MIB, gpt_image, put, random_file, tool

SIZE = 256 * MIB


@pytest.fixture(scope="module")
def large_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that takes a moment to write."""
    return gpt_image(tmp_path_factory.mktemp("large") / "large.raw", size=SIZE)


def assert_not_bootable(disk: Path) -> None:
    """No boot code, no partition table of either kind, at either end."""
    with disk.open("rb") as stream:
        assert not any(stream.read(MIB))
        stream.seek(-MIB, os.SEEK_END)
        assert b"EFI PART" not in stream.read()
    shown = tool("sgdisk", "-p", disk) if disk.is_file() else ""
    assert "Total free space" in shown or not shown
    probed = subprocess.run(["blkid", "-p", str(disk)], capture_output=True, text=True, check=False)
    assert (probed.returncode, probed.stdout) == (2, "")


def test_sigkill_while_writing(
    agent: Agent, server: MisbehavingServer, large_image: Path, tmp_path: Path
) -> None:
    disk = random_file(tmp_path / "disk", SIZE + 64 * MIB)
    request = request_for(serve(server, large_image), disk, "raw", configdrive=CONFIGDRIVE)
    process = agent.start(request)
    list(events_until(process, started("write")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert_not_bootable(disk)
    shown = agent.run("status", "--json", "--full")
    assert '"status": "error"' in shown.stdout
    assert '"diskTouched": true' in shown.stdout
    assert "killed" in shown.stdout
    ended = agent.deploy(request)
    assert ended.code == 0, ended.people
    assert "No problems found" in tool("sgdisk", "-v", disk)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_while_writing(
    agent: Agent,
    server: MisbehavingServer,
    large_image: Path,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    disk = random_file(tmp_path / "disk", SIZE + 64 * MIB)
    process = agent.start(request_for(serve(server, large_image), disk, "raw"))
    read = list(events_until(process, started("write")))
    process.send_signal(number)
    ended = agent.wait(process, read)
    assert ended.code == code
    assert ended.status["diskTouched"] is True
    assert "does not boot" in ended.people
    assert_not_bootable(disk)


def test_cancel_while_downloading(
    agent: Agent, server: MisbehavingServer, large_image: Path, disk: Path
) -> None:
    before = digest(disk)
    body = large_image.read_bytes()[:MIB]
    url = server.on("/image", Serve(body, cut_after=len(body) - 1, end="stall"))
    process = agent.start(request_for(url, disk, "raw"))
    read = list(events_until(process, started("fetch")))
    wait_until(lambda: bool(server.seen("/image")))
    done = agent.run("cancel")
    assert (done.returncode, "was not changed" in done.stdout) == (0, True), done.stderr
    ended = agent.wait(process, read)
    assert (ended.code, ended.message) == (143, "The deployment was interrupted.")
    assert digest(disk) == before
    again = agent.run("cancel")
    assert again.returncode == 3


def test_two_at_once(agent: Agent, server: MisbehavingServer, large_image: Path, disk: Path) -> None:
    body = large_image.read_bytes()[:MIB]
    url = server.on("/image", Serve(body, cut_after=len(body) - 1, end="stall"))
    process = agent.start(request_for(url, disk, "raw"))
    read = list(events_until(process, started("fetch")))
    second = agent.run("deploy", "--url", url, "--type", "raw", "--disk", str(disk), "--yes")
    assert second.returncode == 3
    assert "Another deployment is running" in second.stderr
    assert '"status": "doing"' in agent.run("status", "--json").stdout
    process.terminate()
    assert agent.wait(process, read).code == 143


@pytest.fixture
def failing_disk(tmp_path: Path) -> Iterator[Path]:
    """A block device that takes 64 MiB and reports an error for what comes after: its medium is full."""
    medium = tmp_path / "medium"
    medium.mkdir()
    tool("mount", "-t", "tmpfs", "-o", "size=64M", "tmpfs", medium)
    try:
        backing = medium / "disk"
        backing.touch()
        os.truncate(backing, 160 * MIB)
        with loop_device(backing) as device:
            yield device
    finally:
        tool("umount", "--lazy", medium)


@pytest.mark.parametrize("run", [448 << 10, 64 * MIB], ids=["through-the-cache", "past-the-cache"])
def test_write_error_of_the_device(
    agent: Agent, server: MisbehavingServer, tmp_path: Path, failing_disk: Path, run: int
) -> None:
    """What goes through the cache fails when it is flushed; what does not, where it is written."""
    image = gpt_image(tmp_path / "image.raw", size=140 * MIB)
    gap = bytes(64 << 10)
    for start in range(37 * MIB, 139 * MIB, run + len(gap)):
        content = os.urandom(run) + gap
        put(image, start, content[: 139 * MIB - start])
    ended = agent.deploy(
        request_for(serve(server, image), failing_disk, "raw", options={"bootType": "legacy"})
    )
    assert (ended.code, ended.message) == (5, "Can't write raw on disk."), ended.people
    assert ended.status["diskTouched"] is True
    assert ("reported at flush" in ended.people) == (run < MIB), ended.people
    assert "does not boot" in ended.people
    with failing_disk.open("rb") as stream:
        assert not any(stream.read(MIB))
