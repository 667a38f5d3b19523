from pathlib import Path

import pytest

from partitioning.disks import Disk
from partitioning.errors import DiskBusy
from partitioning.inventory import read_inventory
from partitioning.running_system import refuse_if_in_use, running_system_disks
from tests.unit.sysfs.tree import SAS, SATA, Tree

TMPFS = "0:5 / / rw - tmpfs tmpfs rw"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def two_disks(tree: Tree) -> tuple[Path, Path]:
    first = tree.partition(tree.disk(SATA.format(n=1, name="sda")), 1)
    second = tree.partition(tree.disk(SATA.format(n=2, name="sdb")), 1)
    return first, second


def used(tree: Tree) -> dict[str, str]:
    """Give why, by the kernel's name instead of the device number."""
    found = running_system_disks(tree.roots)
    return {(tree.roots.sys / "dev/block" / devno).resolve().name: why for devno, why in found.items()}


def refused(tree: Tree, name: str) -> DiskBusy:
    disk = the_disk(tree, name)
    with pytest.raises(DiskBusy) as caught:
        refuse_if_in_use(disk, roots=tree.roots)
    return caught.value


def the_disk(tree: Tree, name: str) -> Disk:
    disks = read_inventory(roots=tree.roots, properties={})
    return next(disk for disk in disks if disk.sysname == name)


def test_a_system_in_memory_stands_on_no_disk(tree: Tree) -> None:
    two_disks(tree)
    tree.mounts(TMPFS)
    assert used(tree) == {}


@pytest.mark.parametrize("place", ["/", "/usr", "/boot", "/boot/efi", "/run/live/medium", "/cdrom"])
def test_the_systems_own_mounts(tree: Tree, place: str) -> None:
    first, _ = two_disks(tree)
    tree.mounts(TMPFS, f"{tree.devno(first)} / {place} rw - ext4 /dev/sda1 rw")
    assert used(tree) == {"sda": f"mounted at {place}"}


def test_another_mount_is_not_the_system(tree: Tree) -> None:
    first, _ = two_disks(tree)
    tree.mounts(TMPFS, f"{tree.devno(first)} / /mnt rw - ext4 /dev/sda1 rw")
    assert used(tree) == {}


def test_a_live_system_overlay_squashfs_loop_medium(tree: Tree) -> None:
    first, _ = two_disks(tree)
    loop = tree.virtual("loop0", loop__backing_file="/medium/live/filesystem.squashfs")
    tree.mounts(
        "0:30 / / rw - overlay overlay rw,lowerdir=/lower,upperdir=/cow/rw,workdir=/cow/work",
        f"{tree.devno(loop)} / /lower ro - squashfs /dev/loop0 ro",
        "0:31 / /cow rw - tmpfs tmpfs rw",
        f"{tree.devno(first)} / /medium ro - iso9660 /dev/sda1 ro",
    )
    assert set(used(tree)) == {"sda", "loop0"}
    assert used(tree)["sda"] == "mounted at /"


def test_the_root_on_lvm_on_md_on_two_disks(tree: Tree) -> None:
    first, second = two_disks(tree)
    md = tree.virtual("md0")
    root = tree.virtual("dm-0", dm__name="vg-root")
    tree.stack(md, first, second)
    tree.stack(root, md)
    tree.mounts(f"{tree.devno(root)} / / rw - ext4 /dev/mapper/vg-root rw")
    assert set(used(tree)) == {"sda", "sdb", "md0", "dm-0"}


def test_every_device_of_a_btrfs_root(tree: Tree) -> None:
    two_disks(tree)
    for name in ("sda1", "sdb1"):
        tree.write(tree.root, f"sys/fs/btrfs/uuid/devices/{name}", "")
    tree.mounts("0:44 /@ / rw - btrfs /dev/sda1 rw")
    assert set(used(tree)) == {"sda", "sdb"}


def test_an_overlay_on_itself_ends(tree: Tree) -> None:
    tree.mounts("0:30 / / rw - overlay overlay rw,lowerdir=/lower")
    assert used(tree) == {}


def test_the_running_systems_disk_is_refused(tree: Tree) -> None:
    first, _ = two_disks(tree)
    tree.mounts(f"{tree.devno(first)} / / rw - ext4 /dev/sda1 rw")
    error = refused(tree, "sda")
    assert error.message == "The running system stands on the disk /dev/sda."
    assert error.detail == "It is mounted at /. Nothing was written to it."
    refuse_if_in_use(the_disk(tree, "sdb"), roots=tree.roots)


def test_a_mounted_disk_is_refused_with_the_way_out(tree: Tree) -> None:
    first, _ = two_disks(tree)
    crypt = tree.virtual("dm-0", dm__name="data", dm__uuid="CRYPT-LUKS2-0-data")
    tree.stack(crypt, first)
    tree.mounts(TMPFS, rf"{tree.devno(crypt)} / /mnt/a\040b rw - ext4 /dev/mapper/data rw")
    error = refused(tree, "sda")
    assert error.message == "The disk /dev/sda is in use."
    assert error.detail == "sda1: crypt data ← mounted at /mnt/a b. Nothing was written to it."
    assert error.hint == "If it may be erased: umount '/mnt/a b'; then start again."


def test_swap_is_refused(tree: Tree) -> None:
    _, second = two_disks(tree)
    tree.mounts(TMPFS, f"{tree.devno(second)} / /data rw - ext4 /dev/sdb1 rw")
    tree.swaps("/dev/sda1", "/data/swap")
    error = refused(tree, "sda")
    assert error.detail == "sda1: in use as swap. Nothing was written to it."
    assert error.hint == "If it may be erased: swapoff /dev/sda1; then start again."
    error = refused(tree, "sdb")
    assert error.detail == "sdb1: mounted at /data ← in use as swap. Nothing was written to it."
    assert error.hint == "If it may be erased: swapoff /data/swap; umount /data; then start again."


def test_what_nobody_uses_is_not_refused(tree: Tree) -> None:
    first, _ = two_disks(tree)
    tree.stack(tree.virtual("md0", md__level="raid1"), first)
    tree.mounts(TMPFS)
    refuse_if_in_use(the_disk(tree, "sda"), roots=tree.roots)


# Another path to the same disk.


def two_paths(tree: Tree, *, serials: tuple[str, str] = ("Z1", "Z1")) -> tuple[Path, Path]:
    """A dual-ported disk, without a multipath daemon."""
    sda, sdb = (
        tree.disk(SAS.format(n=n, target=n, name=name), device__wwid="naa.5000c500a1b2c3d4", serial=serial)
        for n, name, serial in zip((0, 1), ("sda", "sdb"), serials, strict=True)
    )
    tree.mounts(TMPFS)
    return sda, sdb


def test_the_system_stands_on_the_other_path(tree: Tree) -> None:
    _, sdb = two_paths(tree)
    tree.mounts(f"{tree.devno(tree.partition(sdb, 1))} / / rw - ext4 /dev/sdb1 rw")
    error = refused(tree, "sda")
    assert error.message == "The running system stands on the disk /dev/sda."
    assert error.detail == "/dev/sdb is another path to it, and is mounted at /. Nothing was written to it."


def test_a_mount_over_the_other_path(tree: Tree) -> None:
    _, sdb = two_paths(tree)
    tree.mounts(TMPFS, f"{tree.devno(tree.partition(sdb, 1))} / /mnt rw - ext4 /dev/sdb1 rw")
    error = refused(tree, "sda")
    assert error.message == "The disk /dev/sda is in use over its other path /dev/sdb."
    assert error.detail == "sdb1: mounted at /mnt. Nothing was written to it."
    assert error.hint == "If it may be erased: umount /mnt; then start again."


def test_swap_over_the_other_path(tree: Tree) -> None:
    two_paths(tree)
    tree.swaps("/dev/sdb")
    assert "swapoff /dev/sdb;" in refused(tree, "sda").hint


@pytest.mark.parametrize(
    ("uuid", "hint"),
    [
        ("LVM-x", "Name that path as the target (--disk /dev/sdb), or stop by hand what holds it."),
        ("mpath-x", "Name the multipath device as the target: --disk /dev/mapper/held"),
    ],
)
def test_whatever_holds_the_other_path_only(tree: Tree, uuid: str, hint: str) -> None:
    _, sdb = two_paths(tree)
    tree.stack(tree.virtual("dm-0", dm__name="held", dm__uuid=uuid), sdb)
    assert refused(tree, "sda").hint == hint
    refuse_if_in_use(the_disk(tree, "sdb"), roots=tree.roots)


def test_what_holds_both_paths_is_left_to_the_release(tree: Tree) -> None:
    tree.stack(tree.virtual("dm-0", dm__name="mpatha", dm__uuid="mpath-x"), *two_paths(tree))
    refuse_if_in_use(the_disk(tree, "sda"), roots=tree.roots)


def test_a_free_second_path_is_no_reason(tree: Tree) -> None:
    two_paths(tree)
    refuse_if_in_use(the_disk(tree, "sda"), roots=tree.roots)


def test_a_disk_that_only_shares_the_name(tree: Tree) -> None:
    _, sdb = two_paths(tree, serials=("Z1", "Z2"))
    tree.mounts(f"{tree.devno(sdb)} / / rw - ext4 /dev/sdb rw")
    refuse_if_in_use(the_disk(tree, "sda"), roots=tree.roots)


def test_disks_without_a_worldwide_name_are_not_one(tree: Tree) -> None:
    _, second = two_disks(tree)
    tree.mounts(f"{tree.devno(second)} / / rw - ext4 /dev/sdb1 rw")
    refuse_if_in_use(the_disk(tree, "sda"), roots=tree.roots)
