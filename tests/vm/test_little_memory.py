"""A server with little memory: an image whose file is larger is written while it comes, and boots."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from testbed.deployment import AgentRun, deploy, request_for, used_disk
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.judge_disk import judge
from testbed.large_image import LargeImage, large_image
from testbed.rescue import RescueSystem
from testbed.server_config import Disk, ServerConfig
from testbed.ssh import SshConnection
from testbed.tiny_image import GREETING
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

BOOT_SECONDS = 300.0
DEPLOY_SECONDS = 1800.0
MIB = 1 << 20
GIB = 1 << 30
MOST_MEMORY = 300 * MIB
PEAK = "/run/peak-memory"
# Of the whole server, so that no process is forgotten: memory that no file backs, and memfd and tmpfs.
WATCH = f"""
import itertools, re, time
def used():
    text = open("/proc/meminfo").read()
    return sum(int(re.search(name + r": +(\\d+)", text)[1]) << 10 for name in ("AnonPages", "Shmem"))
before, most = used(), 0
for turn in itertools.count():
    most = max(most, used() - before)
    if turn % 10 == 0:
        open("{PEAK}", "w").write(str(most))
    time.sleep(0.02)
"""


@dataclass(frozen=True)
class Size:
    """Of a server's memory, of an image and its data, in bytes; packing halves the data."""

    memory: int
    image: int
    data: int


SIZES = [
    pytest.param(Size(768 * MIB, 3 * GIB, 1664 * MIB), id="832-MiB-file"),
    pytest.param(Size(GIB, 16 * GIB, 12 * GIB), id="6-GiB-file", marks=pytest.mark.long),
]


@pytest.mark.parametrize("size", SIZES)
def test_a_file_larger_than_memory_is_deployed_and_boots(
    rescue: RescueSystem, small_image: ImageFile, tmp_path: Path, size: Size
) -> None:
    image = large_image(small_image, tmp_path, size=size.image, data=size.data)
    assert image.qcow2.path.stat().st_size > size.memory
    disk = Disk(path=used_disk(tmp_path / "disk", size.image + GIB), serial="LITTLE01")
    ended, peak = deploy_on_little(rescue, image, disk, size.memory // MIB)
    print(f"peak memory {peak / MIB:.0f} MiB for a file of {image.qcow2.path.stat().st_size} bytes")
    assert ended.exit_code == 0, f"{ended.last}\n{ended.stderr}"
    assert peak <= MOST_MEMORY
    judge(disk.path, logical_sector=512, image=image.raw, image_sector=512)
    with VirtualServer(ServerConfig(name="little-disk", disks=(disk,))) as machine:
        machine.wait_for_text(GREETING, timeout=60)


def deploy_on_little(
    rescue: RescueSystem, image: LargeImage, disk: Disk, memory_mib: int
) -> tuple[AgentRun, int]:
    boot = rescue.boot()
    config = ServerConfig(name="little", memory_mib=memory_mib, disks=(disk,), kernel_boot=boot)
    with FileServer(image.qcow2.path.parent) as server, VirtualServer(config) as machine:
        shell = machine.wait_for_ssh(rescue.key, timeout=BOOT_SECONDS)
        request = request_for(image.qcow2, server.url(image.qcow2.path.name), hostname="little")
        with peak_memory(shell) as peak:
            ended = deploy(shell, request, timeout=DEPLOY_SECONDS)
        assert "Out of memory" not in shell.output("dmesg")
        machine.power_off(timeout=BOOT_SECONDS)
    return ended, peak[0]


@contextmanager
def peak_memory(shell: SshConnection) -> Iterator[list[int]]:
    """Give a list that has the peak in it afterwards."""
    shell.write(WATCH.encode(), "/run/watch.py")
    shell.run("sh", "-c", "nohup python3 /run/watch.py >/run/watch.log 2>&1 & echo $! >/run/watch.pid")
    found: list[int] = []
    yield found
    shell.run("sh", "-c", "kill $(cat /run/watch.pid)")
    found.append(int(shell.output("cat", PEAK)))
