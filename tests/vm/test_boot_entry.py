"""The firmware's boot entry: stale ones go, ours is the one that the firmware uses, others stay.

The disk is chosen by its group: it is the first of two in the second of two groups.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testbed.deployment import AgentRun, deploy, request_for, used_disk, wait_for_cloud_init
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.keys import KeyPair
from testbed.rescue import RescueSystem
from testbed.server_config import Disk, Firmware, ServerConfig
from testbed.ssh import SshConnection
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

BOOT_SECONDS = 300.0
OTHER, TARGET, SECOND = "/dev/vda", "/dev/vdb", "/dev/vdc"
GROUP = 2
LABEL = "byoi-agent"
CURRENT = "/sys/firmware/efi/efivars/BootCurrent-8be4df61-93ca-11d2-aa0d-00e098032b8c"


@dataclass
class Done:
    """What was there before, what the agent planned and did, and what the firmware has afterwards."""

    before: dict[str, str]
    plan: dict[str, Any]
    agent: AgentRun
    after: dict[str, str]
    order: list[str]
    config: ServerConfig

    def number_of(self, label: str) -> list[str]:
        return [number for number, name in self.after.items() if name == label]


def entries(shell: SshConnection) -> tuple[dict[str, str], list[str]]:
    """The firmware's entries by number, and the order it tries them in, as efibootmgr tells them."""
    found, order = {}, []
    for line in shell.output("efibootmgr").splitlines():
        if line.startswith("BootOrder: "):
            order = line.removeprefix("BootOrder: ").split(",")
        elif line.startswith("Boot") and line[4:8].isalnum() and line[8:10] in ("* ", "  "):
            found[line[4:8]] = line[10:].split("\t")[0].strip()
    return found, order


def old_systems(shell: SshConnection) -> None:
    """Two disks with an ESP each, entries for both, one of the agent's, and one that leads nowhere."""
    for disk in (TARGET, OTHER):
        parts = ("--new", "1:2048:+64M", "--typecode", "1:ef00", "--new", "2:0:+64M", "--typecode", "2:ef00")
        shell.run("sgdisk", "--zap-all", *parts, disk)
    shell.run("udevadm", "settle")
    for disk, part, label in (
        (TARGET, "1", "old"),
        (TARGET, "1", LABEL),
        (OTHER, "1", "other"),
        (OTHER, "2", "nowhere"),
    ):
        words = ("--create", "--disk", disk, "--part", part, "--loader", "\\EFI\\x.efi", "--label", label)
        shell.run("efibootmgr", "--quiet", *words)
    shell.run("sgdisk", "--delete", "2", OTHER)
    shell.run("udevadm", "settle")


def start_of(shell: SshConnection, disk: str) -> str:
    """The sum of a disk's first MiB."""
    return shell.output("sh", "-c", f"head --bytes=1M {disk} | sha256sum")


@pytest.fixture(scope="module")
def done(
    rescue: RescueSystem,
    cloud_image: ImageFile,
    image_server: FileServer,
    user_key: KeyPair,
    disks: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Done:
    config = ServerConfig(
        name="entry-rescue",
        firmware=Firmware.UEFI,
        disks=(
            Disk(path=used_disk(disks / "other.raw", 1 << 30), serial="OTHER"),
            Disk(path=used_disk(disks / "target.raw", 6 << 30), serial="TARGET"),
            Disk(path=used_disk(disks / "second.raw", 6 << 30), serial="SECOND"),
        ),
        kernel_boot=rescue.boot(),
        firmware_variables=tmp_path_factory.mktemp("variables") / "variables.fd",
        firmware_decides=True,
    )
    with VirtualServer(config) as server:
        shell = server.wait_for_ssh(rescue.key, timeout=BOOT_SECONDS)
        old_systems(shell)
        before, _ = entries(shell)
        url = image_server.url(cloud_image.path.name)
        wanted = request_for(cloud_image, url, hostname="entry", ssh_key=user_key.public)
        options = ("--disk-group-id", str(GROUP))
        second = start_of(shell, SECOND)
        said = shell.run(
            *("byoi-agent", "plan", "-", "--json", *options), stdin=json.dumps(wanted).encode(), timeout=300
        )
        assert entries(shell)[0] == before, "a plan changes nothing"
        agent = deploy(shell, wanted, *options)
        assert agent.exit_code == 0, f"{agent.events[-3:]}\n{agent.stderr}"
        assert agent.last["disk"]["path"] == TARGET
        assert start_of(shell, SECOND) == second
        after, order = entries(shell)
        server.power_off(timeout=BOOT_SECONDS)
    return Done(before, json.loads(said.stdout), agent, after, order, config)


def test_there_were_entries_of_all_kinds(done: Done) -> None:
    assert {"old", LABEL, "other", "nowhere"} <= set(done.before.values())


def test_there_is_one_of_ours_and_it_is_the_first(done: Done) -> None:
    assert done.number_of(LABEL) == [done.order[0]]


def test_entries_of_the_system_that_was_overwritten_are_removed(done: Done) -> None:
    assert "old" not in done.after.values()


def test_one_whose_partition_nobody_sees_is_warned_of(done: Done) -> None:
    assert len(done.number_of("nowhere")) == 1
    assert "nowhere" in " ".join(done.agent.last["warnings"])


def test_all_others_stay(done: Done) -> None:
    gone = {"old", LABEL}
    kept = {number: label for number, label in done.before.items() if label not in gone}
    assert kept.items() <= done.after.items()
    assert "other" in kept.values()


def test_the_plan_said_so_beforehand(done: Done) -> None:
    assert {entry["label"] for entry in done.plan["bootEntry"]["removed"]} == {"old", LABEL}
    assert done.plan["loader"]["path"] == "\\EFI\\debian\\shimx64.efi"
    assert done.plan["secureBoot"] == "off"


def test_every_step_was_done(done: Done) -> None:
    assert [step for step in done.agent.last["steps"] if step["state"] != "done"] == []
    assert done.agent.last["steps"][-1]["name"] == "entry"


@pytest.fixture(scope="module")
def guest(done: Done, user_key: KeyPair) -> Iterator[SshConnection]:
    """The deployed system, started as the firmware itself decides."""
    config = ServerConfig(
        name="entry-disk",
        firmware=Firmware.UEFI,
        disks=done.config.disks,
        firmware_variables=done.config.firmware_variables,
        firmware_decides=True,
    )
    with VirtualServer(config) as server:
        shell = server.wait_for_ssh(user_key, user="debian", timeout=BOOT_SECONDS)
        assert wait_for_cloud_init(shell, timeout=BOOT_SECONDS) == []
        yield shell


def test_the_firmware_used_our_entry(done: Done, guest: SshConnection) -> None:
    value = bytes.fromhex(guest.output("sudo", "od", "-An", "-tx1", CURRENT))
    (number,) = struct.unpack("<H", value[4:6])
    assert [f"{number:04X}"] == done.number_of(LABEL)
