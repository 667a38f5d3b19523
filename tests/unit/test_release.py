from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from partitioning import release
from partitioning.command import CommandFailed
from partitioning.disks import Disk
from partitioning.errors import DiskBusy, DiskNotFound, ReleaseFailed
from partitioning.inventory import read_inventory
from partitioning.release import ReleaseAction, ReleasePlan, carry_out, plan_release, released_and_open
from tests.unit.sysfs.tree import SATA, Tree


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setattr(release, "available", lambda tool: True)
    monkeypatch.setattr(release, "_FREE_WAIT", 0.05)
    monkeypatch.setattr(release, "_FREE_POLL", 0.01)
    tree = Tree(tmp_path)
    tree.mounts("0:5 / / rw - tmpfs tmpfs rw")
    return tree


def the_disk(tree: Tree) -> Disk:
    return next(disk for disk in read_inventory(roots=tree.roots, properties={}) if disk.sysname == "sda")


def plan(tree: Tree) -> ReleasePlan:
    return plan_release(the_disk(tree), roots=tree.roots)


def commands(tree: Tree) -> list[str]:
    return [" ".join(action.argv) for action in plan(tree).actions]


def md_on(tree: Tree, *below: Path, name: str = "md127", **attributes: object) -> Path:
    md = tree.virtual(name, md__level="raid1", md__array_state="active")
    tree.set(md, **attributes)
    tree.stack(md, *below)
    return md


def dm_on(tree: Tree, minor: int, name: str, uuid: str, *below: Path) -> Path:
    dm = tree.virtual(f"dm-{minor}", dm__name=name, dm__uuid=uuid)
    tree.stack(dm, *below)
    return dm


def test_a_free_disk_needs_nothing(tree: Tree) -> None:
    tree.disk(SATA.format(n=1, name="sda"))
    assert plan(tree).actions == ()


def test_the_topmost_goes_first_and_each_once(tree: Tree) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"))
    parts = [tree.partition(sda, 1), tree.partition(sda, 2)]
    md = md_on(tree, *parts)
    crypt = dm_on(tree, 2, "luks", "CRYPT-LUKS2-00-luks", md)
    dm_on(tree, 0, "vg--x-root", "LVM-abc", crypt)
    dm_on(tree, 1, "vg--x-home", "LVM-abd", crypt)
    assert commands(tree) == [
        "dmsetup remove --retry -- vg--x-root",
        "dmsetup remove --retry -- vg--x-home",
        "dmsetup remove --retry -- luks",
        "mdadm --stop /dev/md127",
    ]
    assert plan(tree).actions[0].line == "stop LVM vg--x-root on dm-2"
    assert plan(tree).actions[-1].line == "stop md127 (raid1, active) on sda2"


def test_the_other_disks_that_lose_it_are_named(tree: Tree) -> None:
    disks = [tree.disk(SATA.format(n=n, name=name)) for n, name in ((1, "sda"), (2, "sdb"), (3, "sdc"))]
    md = md_on(tree, *(tree.partition(disk, 1) for disk in disks))
    dm_on(tree, 0, "luks", "CRYPT-LUKS2-00-luks", md)
    assert [action.line for action in plan(tree).actions] == [
        "stop crypt luks on md127, which also stands on sdb, sdc",
        "stop md127 (raid1, active) on sda1, which also stands on sdb, sdc",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"diskseq": 8}, "disk sequence number 7 → 8"),
        ({"size": 999}, "size 480000000000 → 511488"),
    ],
)
def test_another_disk_under_the_name_loses_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], said: str
) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"), diskseq=7)
    md_on(tree, sda)
    assert_nothing_is_stopped(tree, monkeypatch, lambda: tree.set(sda, **changes), said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"serial": "Z2"}, "serial number Z1 → Z2"),
        ({"serial": ""}, "serial number Z1 → None"),
        ({"device__wwid": "naa.5000000000000002"}, "worldwide name 5000000000000001 → 5000000000000002"),
    ],
)
def test_a_kernel_without_sequence_numbers_tells_by_the_names(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], said: str
) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"), serial="Z1", device__wwid="naa.5000000000000001")
    md_on(tree, sda)
    assert_nothing_is_stopped(tree, monkeypatch, lambda: tree.set(sda, **changes), said)


def test_a_disk_that_is_gone_loses_nothing(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"))
    md_on(tree, sda)
    gone = tree.root / "sys/dev/block" / tree.devno(sda)
    assert_nothing_is_stopped(tree, monkeypatch, gone.unlink, "The kernel no longer has it.")


def test_a_name_that_only_udev_knew_of(tree: Tree) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"), serial="Z1")
    disk = the_disk(tree)
    tree.set(sda, device__wwid="naa.5000000000000001")
    plan_release(disk, roots=tree.roots)


def assert_nothing_is_stopped(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, change: Callable[[], None], said: str
) -> None:
    commands: list[Sequence[str]] = []
    monkeypatch.setattr(release, "run", lambda argv, *, timeout: commands.append(argv))
    planned = plan(tree)
    change()
    tries: list[Callable[[], object]] = [
        lambda: carry_out(planned, roots=tree.roots),
        lambda: plan_release(planned.disk, roots=tree.roots),
        lambda: released_and_open(planned.disk, roots=tree.roots).__enter__(),
    ]
    for attempt in tries:
        with pytest.raises(DiskNotFound, match="no longer the disk that was chosen") as caught:
            attempt()
        assert said in caught.value.detail
    assert commands == []


def test_a_disk_that_is_exchanged_between_two_rounds(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"), diskseq=7)
    md_on(tree, sda)
    udev = Udev(tree, sda, returns=2)

    def run(argv: Sequence[str], *, timeout: float) -> None:
        udev.run(argv, timeout=timeout)
        tree.set(sda, diskseq=8)

    monkeypatch.setattr(release, "run", run)
    with pytest.raises(DiskNotFound):
        carry_out(plan(tree), roots=tree.roots)
    assert len(udev.commands) == 1


def test_a_thin_pool_that_is_reached_by_two_ways(tree: Tree) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"))
    meta, data = (dm_on(tree, n, f"vg-pool_{name}", "LVM-a", sda) for n, name in ((0, "tmeta"), (1, "tdata")))
    pool = dm_on(tree, 2, "vg-pool-tpool", "LVM-a", meta, data)
    dm_on(tree, 3, "vg-thin", "LVM-a", pool)
    order = [command.rpartition(" ")[2] for command in commands(tree)]
    assert order[:2] == ["vg-thin", "vg-pool-tpool"]
    assert set(order[2:]) == {"vg-pool_tmeta", "vg-pool_tdata"}


def test_volumes_of_a_firmware_raid_go_before_their_container(tree: Tree) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"))
    md_on(tree, sda, name="md126", md__metadata_version="external:imsm")
    md_on(tree, sda, name="md127", md__metadata_version="external:/md126/0")
    assert commands(tree) == ["mdadm --stop /dev/md127", "mdadm --stop /dev/md126"]


def test_without_mdadm_the_kernel_is_asked_itself(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "available", lambda tool: False)
    md = md_on(tree, tree.disk(SATA.format(n=1, name="sda")))
    (action,) = plan(tree).actions
    assert (action.attribute, action.word) == (md / "md/array_state", "clear")


def test_bcache_device_and_cache(tree: Tree) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"))
    backing, cache = tree.partition(sda, 1), tree.partition(sda, 2)
    tree.stack(tree.virtual("bcache0", bcache__stop=""), backing)
    tree.set(cache, bcache__set__stop="")
    assert [action.attribute for action in plan(tree).actions] == [
        tree.root / "sys/devices/virtual/block/bcache0/bcache/stop",
        cache / "bcache/set/stop",
    ]
    carry_out_once = [*release._carry_out_once(plan(tree).actions, None)]
    assert carry_out_once == []
    assert (cache / "bcache/set/stop").read_text() == "1"


def test_a_loop_device(tree: Tree) -> None:
    tree.disk(SATA.format(n=1, name="sda"))
    tree.virtual("loop3", loop__backing_file="/dev/sda")
    assert commands(tree) == ["losetup --detach /dev/loop3"]


def test_multipath_is_refused(tree: Tree) -> None:
    dm_on(tree, 0, "mpatha", "mpath-35000", tree.disk(SATA.format(n=1, name="sda")))
    with pytest.raises(DiskBusy, match="one path of the multipath device mpatha") as caught:
        plan(tree)
    assert "--disk /dev/mapper/mpatha" in caught.value.hint


def test_what_there_is_no_way_to_stop_is_refused(tree: Tree) -> None:
    tree.stack(tree.virtual("drbd0"), tree.disk(SATA.format(n=1, name="sda")))
    with pytest.raises(DiskBusy, match="no known way to stop drbd0"):
        plan(tree)


def test_a_mount_is_never_ended(tree: Tree) -> None:
    part = tree.partition(tree.disk(SATA.format(n=1, name="sda")), 1)
    tree.mounts(f"{tree.devno(part)} / /mnt rw - ext4 /dev/sda1 rw")
    with pytest.raises(DiskBusy, match="mounted at /mnt"):
        plan(tree)


class Udev:
    """Stands for the tools: a stop takes effect, and udev assembles the array again ``returns`` times."""

    def __init__(self, tree: Tree, below: Path, *, returns: int) -> None:
        self.tree, self.below, self.returns = tree, below, returns
        self.names = iter(f"md{number}" for number in range(126, 0, -1))
        self.commands: list[str] = []

    def run(self, argv: Sequence[str], *, timeout: float) -> None:
        assert timeout > 0
        self.commands.append(" ".join(argv))
        (self.below / "holders" / Path(argv[-1]).name).unlink()
        if self.returns:
            self.returns -= 1
            md_on(self.tree, self.below, name=next(self.names))


def test_what_udev_assembles_again_is_stopped_again(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"))
    md_on(tree, sda)
    udev = Udev(tree, sda, returns=2)
    monkeypatch.setattr(release, "run", udev.run)
    shown: list[ReleaseAction] = []
    carry_out(plan(tree), on_action=shown.append, roots=tree.roots)
    assert udev.commands == ["mdadm --stop /dev/md127", "mdadm --stop /dev/md126", "mdadm --stop /dev/md125"]
    assert [action.line for action in shown][-1] == "stop md125 (raid1, active) on sda"


def test_what_always_comes_back_is_named(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"))
    md_on(tree, sda)
    udev = Udev(tree, sda, returns=99)
    monkeypatch.setattr(release, "run", udev.run)
    with pytest.raises(ReleaseFailed, match=r"still held: sda: md124 \(raid1, active\)\."):
        carry_out(plan(tree), roots=tree.roots)
    assert len(udev.commands) == 3


def test_what_the_tool_said_is_in_the_error(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(argv: Sequence[str], *, timeout: float) -> None:
        raise CommandFailed("m", detail="mdadm: Cannot get exclusive access", hint="", code=1, stderr="")

    md_on(tree, tree.disk(SATA.format(n=1, name="sda")))
    monkeypatch.setattr(release, "run", fail)
    with pytest.raises(ReleaseFailed, match="Cannot get exclusive access"):
        carry_out(plan(tree), roots=tree.roots)
