import json
from pathlib import Path

import pytest

from agent.cli import disks as module
from partitioning.disks import Disk, DiskKind, IgnoredReason
from partitioning.holders import Holder, HolderKind
from tests.unit.test_cli_common import CommandLine, command

__all__ = ["command"]


def disk(name: str, size: int = 10**12, **more: object) -> Disk:
    facts: dict[str, object] = {
        "path": Path("/dev") / name,
        "sysname": name,
        "devno": "8:0",
        "diskseq": 1,
        "size": size,
        "sector_size": 512,
        "physical_sector_size": 4096,
        "kind": DiskKind.HDD,
        "controller": "pci-1",
        "location": f"pci-1-{name}",
    }
    return Disk(**(facts | more))  # type: ignore[arg-type]


BIG, SAME, SMALL = disk("sda", model="Fast", serial="S1", transport="sata"), disk("sdb"), disk("sdc", 10**10)
STICK = disk("sdd", ignored=IgnoredReason.USB, by_id=("/dev/disk/by-id/usb-stick",), removable=True)
HOLDER = Holder(kind=HolderKind.MOUNT, on="/dev/sdb", name="/mnt")


@pytest.fixture
def inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_inventory", lambda: (BIG, SAME, SMALL, STICK))
    monkeypatch.setattr(module, "find_holders", lambda disk: (HOLDER,) if disk == SAME else ())


@pytest.mark.usefixtures("inventory")
def test_for_people(command: CommandLine) -> None:
    said = command("disks")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "Group 1 (default)",
        "  /dev/sda: 1 TB HDD, Fast, serial S1  <- the image goes here",
        "    1000000000000 bytes, sectors of 512/4096 bytes, sata, at pci-1-sda",
        "  /dev/sdb: 1 TB HDD",
        "    1000000000000 bytes, sectors of 512/4096 bytes, unknown transport, at pci-1-sdb",
        "    held: /dev/sdb: mounted at /mnt",
        "Group 2",
        "  /dev/sdc: 10 GB HDD  <- the image goes here",
        "    10000000000 bytes, sectors of 512/4096 bytes, unknown transport, at pci-1-sdc",
        "In no group: a USB disk",
        "  /dev/sdd: 1 TB HDD",
        "    1000000000000 bytes, sectors of 512/4096 bytes, unknown transport, at pci-1-sdd",
        "    /dev/disk/by-id/usb-stick",
    ]


@pytest.mark.usefixtures("inventory")
def test_for_programs(command: CommandLine) -> None:
    said = command("disks", "--json")
    shown = json.loads(said.out)
    assert (said.code, said.out.count("\n")) == (0, 1)
    assert shown["defaultGroupId"] == 1
    assert [(group["id"], group["pinned"]) for group in shown["groups"]] == [(1, False), (2, False)]
    assert [entry["path"] for entry in shown["groups"][0]["disks"]] == ["/dev/sda", "/dev/sdb"]
    assert [entry["heldBy"] for entry in shown["groups"][0]["disks"]] == [[], ["mounted at /mnt"]]
    assert shown["ungrouped"][0]["ignored"] == "a USB disk"
    first = shown["groups"][0]["disks"][0]
    expected = {"model": "Fast", "serial": "S1", "size": 10**12, "kind": "HDD", "transport": "sata"}
    assert expected.items() <= first.items()
    assert (first["logicalSectorSize"], first["physicalSectorSize"]) == (512, 4096)


@pytest.mark.usefixtures("inventory")
def test_pinned_groups(command: CommandLine, tmp_path: Path) -> None:
    config = tmp_path / "groups.toml"
    config.write_text('default = 7\n[[group]]\nid = 7\ndisks = [{ serial = "S1" }]\n')
    said = command("disks", "--config", str(config))
    assert said.code == 0, said.err
    assert "Group 7 (default, pinned)" in said.out.splitlines()


def test_no_disks(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_inventory", tuple)
    assert command("disks").out == "There are no disks.\n"
    assert json.loads(command("disks", "--json").out) == {"defaultGroupId": 1, "groups": [], "ungrouped": []}
