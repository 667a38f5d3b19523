"""Which disks have nothing to do with the chosen one."""

from pathlib import Path
from typing import Any

import pytest

from partitioning.disk_facts import Surroundings, describe_disk
from partitioning.disk_paths import apart_from
from partitioning.disks import Disk, file_disk
from partitioning.inventory import read_inventory
from partitioning.sysfs import node_named
from tests.unit.sysfs.tree import SAS, SATA, Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def described(tree: Tree, name: str) -> Disk:
    node = node_named(name, tree.roots)
    assert node is not None
    return describe_disk(node, Surroundings())


def others(tree: Tree, chosen: str) -> list[str]:
    inventory = read_inventory(roots=tree.roots, properties={})
    found = apart_from(described(tree, chosen), inventory, roots=tree.roots)
    return [disk.sysname for disk in found]


def path_to(tree: Tree, number: int, **attributes: Any) -> Path:
    name = f"sd{chr(ord('a') + number)}"
    return tree.disk(SAS.format(n=number, target=number, name=name), **attributes)


def test_another_disk_is_apart(tree: Tree) -> None:
    for number in (1, 2):
        tree.disk(SATA.format(n=number, name=f"sd{'ab'[number - 1]}"))
    assert others(tree, "sda") == ["sdb"]


def test_the_paths_of_a_multipath_device_are_not(tree: Tree) -> None:
    paths = [path_to(tree, number, device__wwid="naa.5000c500a1b2c3d4") for number in range(2)]
    tree.stack(tree.virtual("dm-0", dm__name="mpatha", dm__uuid="mpath-x"), *paths)
    path_to(tree, 2)
    assert others(tree, "dm-0") == ["sdc"]


def test_the_members_of_an_array_are_not_whatever_stands_between(tree: Tree) -> None:
    sda, sdb = (path_to(tree, number) for number in range(2))
    container = tree.virtual("md127")
    tree.stack(container, tree.partition(sda, 1), sdb)
    tree.stack(tree.virtual("md126"), container)
    path_to(tree, 2)
    assert others(tree, "md126") == ["sdc"]


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ({"device__wwid": "naa.5000c500a1b2c3d4"}, {"device__wwid": "naa.5000c500a1b2c3d4"}, []),
        ({"device__wwid": "naa.5000c500a1b2c3d4"}, {"device__wwid": "naa.5000c500a1b2c3d5"}, ["sdb"]),
        # Names of the kind t10. are made up of model and serial number, and are no worldwide names.
        ({"serial": "Z1"}, {"serial": "Z1"}, []),
        ({"serial": "Z1"}, {"serial": "Z2"}, ["sdb"]),
        ({"serial": "Z1"}, {"serial": "Z1", "size": 2 << 30}, ["sdb"]),
        ({}, {}, ["sdb"]),
        ({"serial": "Z1", "device__wwid": "naa.5000c500a1b2c3d4"}, {"serial": "Z1"}, []),
    ],
)
def test_what_may_be_the_same_disk_is_not_apart(
    tree: Tree, first: dict[str, Any], second: dict[str, Any], apart: list[str]
) -> None:
    for number, attributes in enumerate((first, second)):
        path_to(tree, number, **attributes)
    assert others(tree, "sda") == apart


@pytest.mark.parametrize(
    ("name", "of_server"),
    [("loop0", False), ("nbd3", False), ("zram0", False), ("md0", True), ("dm-0", True)],
)
def test_what_firmware_can_not_start_is_not_of_the_server(tree: Tree, name: str, of_server: bool) -> None:
    tree.virtual(name)
    assert described(tree, name).is_of_server is of_server


def test_a_disk_is_of_the_server_and_a_file_is_not(tree: Tree, tmp_path: Path) -> None:
    path_to(tree, 0)
    assert described(tree, "sda").is_of_server
    file = tmp_path / "disk"
    file.write_bytes(bytes(512))
    assert not file_disk(file).is_of_server
