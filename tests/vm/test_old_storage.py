"""Disks in use when the agent comes: old arrays that assembled by themselves, and a mounted file system.

One rescue server for all of it. Its disks: one with an md array (metadata 1.2) in a partition, one with an
array (1.0, superblock at the end) on the whole disk, both with LVM on top, one that is mounted, one with an
old ConfigDrive beside somebody's data.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testbed.deployment import AgentRun, deploy, request_for
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.rescue import RescueSystem
from testbed.server_config import Disk, ServerConfig
from testbed.ssh import SshConnection
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

BOOT_SECONDS = 300.0
ARRAYS = {"1.2": "/dev/vda", "1.0": "/dev/vdb"}
MOUNTED = "/dev/vdc"
RIVAL = "/dev/vdd"
DISK_BYTES = 512 << 20


@pytest.fixture(scope="module")
def server(rescue: RescueSystem, disks: Path) -> Iterator[VirtualServer]:
    paths = [disks / name for name in ("array-1.2", "array-1.0", "mounted", "rival")]
    for path in paths:
        with path.open("wb") as disk:
            disk.truncate(DISK_BYTES)
    config = ServerConfig(
        name="old-storage",
        disks=tuple(Disk(path=path, serial=f"OLD{number}") for number, path in enumerate(paths)),
        kernel_boot=rescue.boot(),
    )
    with VirtualServer(config) as running:
        yield running


@pytest.fixture(scope="module")
def first_boot(server: VirtualServer, rescue: RescueSystem) -> SshConnection:
    """The rescue system after it found the arrays by itself: udev is told of the disks as at a start."""
    shell = server.wait_for_ssh(rescue.key, timeout=BOOT_SECONDS)
    shell.run("sfdisk", "--quiet", ARRAYS["1.2"], stdin=b"label: gpt\n1M,,raid\n")
    shell.run("udevadm", "settle")
    make_array(shell, "md0", "1.2", f"{ARRAYS['1.2']}1")
    make_array(shell, "md1", "1.0", ARRAYS["1.0"])
    shell.run("mkfs.ext4", "-q", MOUNTED)
    shell.run("vgchange", "--quiet", "--activate", "n")
    shell.run("mdadm", "--stop", "--scan")
    shell.run("udevadm", "trigger", "--action=add", "--subsystem-match=block")
    server.wait_for(
        lambda: all("lvm" in device_types(shell, disk) for disk in ARRAYS.values()),
        timeout=BOOT_SECONDS,
        what="LVM on the old arrays",
    )
    return shell


@pytest.fixture(scope="module")
def deployed(
    first_boot: SshConnection, small_image: ImageFile, image_server: FileServer
) -> dict[str, AgentRun]:
    request = tiny_request(small_image, image_server)
    return {version: deploy(first_boot, request, "--disk", disk) for version, disk in ARRAYS.items()}


def make_array(shell: SshConnection, name: str, metadata: str, member: str) -> None:
    """A RAID1 that misses its second disk, with a volume group and an active logical volume on it."""
    shell.run(
        *("mdadm", "--create", f"/dev/{name}", "--run", "--level=1", "--raid-devices=2"),
        *(f"--metadata={metadata}", member, "missing"),
    )
    shell.run("pvcreate", "--quiet", f"/dev/{name}")
    shell.run("vgcreate", "--quiet", f"old-{name}", f"/dev/{name}")
    shell.run("lvcreate", "--quiet", "--name", "root", "--size", "64M", f"old-{name}")


def tiny_request(image: ImageFile, server: FileServer) -> dict[str, Any]:
    return request_for(image, server.url(image.path.name), hostname="old")


def device_types(shell: SshConnection, disk: str) -> set[str]:
    """The types of everything that stands on the disk, as lsblk names them: part, raid1, lvm."""
    return set(shell.output("lsblk", "--noheadings", "--raw", "--output", "TYPE", disk).split()) - {"disk"}


@pytest.mark.parametrize("version", ARRAYS)
def test_disks_shows_who_holds_the_disk(first_boot: SshConnection, version: str) -> None:
    listing = json.loads(first_boot.output("byoi-agent", "disks", "--json"))
    disks = [disk for group in listing["groups"] for disk in group["disks"]]
    (held,) = (disk for disk in disks if disk["path"] == ARRAYS[version])
    assert "md" in json.dumps(held)
    assert "old--md" in json.dumps(held) or "old-md" in json.dumps(held)


@pytest.mark.parametrize("version", ARRAYS)
def test_deploy_stops_the_holders_and_writes(deployed: dict[str, AgentRun], version: str) -> None:
    run = deployed[version]
    assert run.exit_code == 0, f"{run.last}\n{run.stderr}"
    assert run.last["status"] == "done"


def test_a_mounted_disk_is_refused_and_stays_as_it_is(
    first_boot: SshConnection, small_image: ImageFile, image_server: FileServer
) -> None:
    first_boot.run("mount", "--options", "ro", MOUNTED, "/mnt")
    before = first_boot.output("sha256sum", MOUNTED, timeout=120)
    run = deploy(first_boot, tiny_request(small_image, image_server), "--disk", MOUNTED)
    assert run.exit_code == 3, f"{run.last}\n{run.stderr}"
    assert run.last["status"] == "error"
    assert run.last["diskTouched"] is False
    assert "/mnt" in json.dumps(run.last)
    assert first_boot.output("sha256sum", MOUNTED, timeout=120) == before
    assert first_boot.output("findmnt", "--noheadings", "--output", "SOURCE", "/mnt") == MOUNTED


def file_system(shell: SshConnection, device: str) -> str:
    """The type of what stands on a device, past udev's cache; nothing where nothing does."""
    words = ("blkid", "--probe", "--match-tag", "TYPE", "--output", "value", device)
    return shell.run(*words, expect=(0, 2)).stdout.strip()


@pytest.fixture
def rival(first_boot: SshConnection) -> SshConnection:
    parts = ("--new", "1:0:+16M", "--new", "2:0:0")
    first_boot.run("sgdisk", "--zap-all", *parts, RIVAL)
    first_boot.run("udevadm", "settle")
    first_boot.run("mkfs.vfat", "-n", "CONFIG-2", f"{RIVAL}1")
    first_boot.run("mkfs.ext4", "-q", f"{RIVAL}2")
    return first_boot


def test_what_would_win_over_the_new_system_is_erased_where_asked_for(
    rival: SshConnection,
    small_image: ImageFile,
    image_server: FileServer,
    deployed: dict[str, AgentRun],
) -> None:
    request = tiny_request(small_image, image_server)
    target, earlier = ARRAYS.values()
    warned = deploy(rival, request, "--disk", target)
    assert f"Partition 1 of {RIVAL} is labelled config-2" in " ".join(warned.last["warnings"])
    assert file_system(rival, f"{RIVAL}1") == "vfat"

    rival.run("mount", f"{RIVAL}2", "/media")
    busy = deploy(rival, request, "--disk", target, "--rivals", "erase")
    assert (busy.exit_code, busy.last["diskTouched"]) == (3, False), busy.last
    assert RIVAL in json.dumps(busy.last)
    rival.run("umount", "/media")

    erased = deploy(rival, request, "--disk", target, "--rivals", "erase")
    assert erased.exit_code == 0, f"{erased.last}\n{erased.stderr}"
    assert [file_system(rival, f"{RIVAL}{number}") for number in (1, 2)] == ["", "ext4"]
    # The earlier deployment of the same image has its UUID, and a ConfigDrive of its own.
    assert [file_system(rival, f"{earlier}{number}") for number in (1, 2)] == ["", ""]
    assert file_system(rival, MOUNTED) == "ext4"


def test_nothing_assembles_again_at_the_next_boot(
    server: VirtualServer, rescue: RescueSystem, first_boot: SshConnection, deployed: dict[str, AgentRun]
) -> None:
    seen = server.qmp.event_count("RESET")
    first_boot.run("systemctl", "reboot", expect=None)
    server.wait_for_reset(timeout=BOOT_SECONDS, already_seen=seen)
    server.close_connections()
    shell = server.wait_for_ssh(rescue.key, timeout=BOOT_SECONDS)
    shell.run("udevadm", "settle", timeout=120)
    # Not even when asked to: nothing of the old superblocks is left to be found.
    shell.run("mdadm", "--assemble", "--scan", "--run", expect=None)
    shell.run("vgchange", "--activate", "y", expect=None)
    assert shell.output("find", "/sys/class/block", "-name", "md*") == ""
    assert shell.output("lvs", "--noheadings") == ""
    for disk in ARRAYS.values():
        assert device_types(shell, disk) == {"part"}
