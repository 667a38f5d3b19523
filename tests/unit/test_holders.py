from pathlib import Path

import pytest

from partitioning.disks import Disk
from partitioning.holders import Holder, HolderKind, describe_holders, find_holders
from partitioning.inventory import read_inventory
from tests.unit.sysfs.tree import SATA, Tree

LVM = "LVM-JUkDp2Oc0PzDQkMvx0fDTVW8Jx4Dd6vPXnUQ4KkRkSGAE1eW6X0bC2TfBzXYMnrR"
MPATH = "mpath-35000c500a1b2c3d4"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def the_disk(tree: Tree, name: str = "sda") -> Disk:
    disks = read_inventory(roots=tree.roots, properties={})
    return next(disk for disk in disks if disk.sysname == name)


def holders(tree: Tree, name: str = "sda") -> tuple[Holder, ...]:
    return find_holders(the_disk(tree, name), roots=tree.roots, probe=False)


def described(tree: Tree, name: str = "sda") -> str:
    return describe_holders(holders(tree, name))


def test_a_free_disk(tree: Tree) -> None:
    tree.partition(tree.disk(SATA.format(n=1, name="sda")), 1)
    tree.mounts("0:5 / / rw - tmpfs tmpfs rw")
    assert holders(tree) == ()


def test_md_lvm_and_a_mount_on_one_line(tree: Tree) -> None:
    part = tree.partition(tree.disk(SATA.format(n=1, name="sda")), 1)
    other = tree.partition(tree.disk(SATA.format(n=2, name="sdb")), 1)
    md = tree.virtual("md127", md__level="raid1", md__array_state="active")
    root = tree.virtual("dm-0", dm__name="vg0-root", dm__uuid=LVM)
    tree.stack(md, part, other)
    tree.stack(root, md)
    tree.mounts(f"{tree.devno(root)} / /mnt rw - ext4 /dev/mapper/vg0-root rw")
    assert described(tree) == "sda1: md127 (raid1, active) ← LVM vg0-root ← mounted at /mnt"
    assert described(tree, "sdb") == "sdb1: md127 (raid1, active) ← LVM vg0-root ← mounted at /mnt"


def test_branches_and_partitions_of_md(tree: Tree) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"))
    md = tree.virtual("md0", md__level="raid0", md__array_state="clean")
    first, second = tree.partition(md, 1), tree.partition(md, 2)
    tree.stack(md, sda)
    tree.mounts(f"{tree.devno(first)} / /srv rw - ext4 /dev/md0p1 rw")
    tree.swaps("/dev/md0p2")
    assert second.name == "md0p2"
    assert described(tree) == "sda: md0 (raid0, clean) ← (mounted at /srv; in use as swap)"


@pytest.mark.parametrize(
    ("uuid", "kind", "title"),
    [
        (LVM, HolderKind.LVM, "LVM name"),
        ("CRYPT-LUKS2-0123-luks", HolderKind.CRYPT, "crypt name"),
        (MPATH, HolderKind.MULTIPATH, "multipath name"),
        ("part1-" + MPATH, HolderKind.DM, "device mapper name"),
        ("DMRAID-isw_x", HolderKind.DM, "device mapper name"),
        ("", HolderKind.DM, "device mapper name"),
    ],
)
def test_kinds_of_device_mapper(tree: Tree, uuid: str, kind: HolderKind, title: str) -> None:
    tree.stack(tree.virtual("dm-3", dm__name="name", dm__uuid=uuid), tree.disk(SATA.format(n=1, name="sda")))
    (holder,) = holders(tree)
    assert (holder.kind, holder.title(), holder.sysname) == (kind, title, "dm-3")


def test_mounted_several_times_and_with_blanks(tree: Tree) -> None:
    part = tree.partition(tree.disk(SATA.format(n=1, name="sda")), 1)
    devno = tree.devno(part)
    tree.mounts(
        rf"{devno} / /mnt/my\040disk rw - ext4 /dev/sda1 rw", f"{devno} /sub /bound rw - ext4 /dev/sda1 rw"
    )
    assert described(tree) == "sda1: mounted at /mnt/my disk; sda1: mounted at /bound"


def test_a_mount_that_only_process_1_sees(tree: Tree) -> None:
    part = tree.partition(tree.disk(SATA.format(n=1, name="sda")), 1)
    tree.write(tree.root, "proc/1/mountinfo", f"40 1 {tree.devno(part)} / /data rw - xfs /dev/sda1 rw")
    assert described(tree) == "sda1: mounted at /data"


def test_every_device_of_a_btrfs(tree: Tree) -> None:
    for n, name in enumerate(("sda", "sdb"), 1):
        directory = tree.disk(SATA.format(n=n, name=name))
        tree.write(tree.root, f"sys/fs/btrfs/0000-uuid/devices/{name}", "")
        assert directory.name == name
    tree.mounts("0:44 / /pool rw - btrfs /dev/sda rw")
    assert described(tree, "sda") == "sda: mounted at /pool"
    assert described(tree, "sdb") == "sdb: mounted at /pool"
    tree.mounts()
    assert described(tree, "sdb") == "sdb: mounted at a place this process does not see (btrfs 0000-uuid)"


def test_swap_by_a_link(tree: Tree) -> None:
    tree.partition(tree.disk(SATA.format(n=1, name="sda")), 2)
    tree.link("disk/by-id/ata-X-part2", tree.root / "dev/sda2")
    tree.swaps("/dev/disk/by-id/ata-X-part2")
    assert described(tree) == "sda2: in use as swap"


def test_a_loop_device_on_the_disk(tree: Tree) -> None:
    tree.disk(SATA.format(n=1, name="sda"))
    loop = tree.virtual("loop4", loop__backing_file="/dev/sda")
    tree.mounts(f"{tree.devno(loop)} / /mnt ro - squashfs /dev/loop4 ro")
    assert described(tree) == "sda: loop4 (/dev/sda) ← mounted at /mnt"


def test_a_loop_device_on_a_file_that_is_on_the_disk(tree: Tree) -> None:
    part = tree.partition(tree.disk(SATA.format(n=1, name="sda")), 1)
    loop = tree.virtual("loop4", loop__backing_file="/mnt/image.raw (deleted)")
    tree.mounts(
        f"{tree.devno(part)} / /mnt rw - ext4 /dev/sda1 rw",
        f"{tree.devno(loop)} / /inner rw - ext4 /dev/loop4 rw",
    )
    assert described(tree) == "sda1: mounted at /mnt ← loop4 (/mnt/image.raw) ← mounted at /inner"


def test_bcache(tree: Tree) -> None:
    sda, sdb = (tree.disk(SATA.format(n=n, name=name)) for n, name in ((1, "sda"), (2, "sdb")))
    tree.stack(tree.virtual("bcache0"), sda)
    (sda / "bcache").mkdir()
    (sdb / "bcache").mkdir()
    assert described(tree, "sda") == "sda: bcache0"
    assert described(tree, "sdb") == "sdb: bcache (a registered member)"


def test_a_circle_ends(tree: Tree) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"))
    loop = tree.virtual("loop0", loop__backing_file="/dev/sda")
    tree.stack(sda, loop)
    assert described(tree) == "sda: loop0 (/dev/sda) ← sda"
