from pathlib import Path

import pytest

from partitioning.disks import Disk, DiskKind, IgnoredReason
from partitioning.inventory import read_inventory
from partitioning.udev import udev_properties
from tests.unit.sysfs.tree import GB, NVME, SAS, SATA, USB, VIRTIO, Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def inventory(tree: Tree, properties: dict[str, dict[str, str]] | None = None) -> dict[str, Disk]:
    return {disk.sysname: disk for disk in read_inventory(roots=tree.roots, properties=properties or {})}


def test_sata_disk_without_udev(tree: Tree) -> None:
    sda = tree.disk(
        SATA.format(n=3, name="sda"),
        size=480 * GB,
        diskseq=7,
        device__model="INTEL SSDSC2BB48",
        device__wwid="naa.55cd2e404b66a0e1",
        device__vpd_pg80=b"\0\x80\0\x14  PHWA624300XX480FGN",
    )
    tree.write(sda.parents[4], "ata_port/ata3/port_no", 1)
    disk = inventory(tree)["sda"]
    assert disk.path == Path("/dev/sda")
    assert (disk.devno, disk.diskseq, disk.size) == ("8:1", 7, 480 * GB)
    assert (disk.sector_size, disk.physical_sector_size) == (512, 4096)
    assert (disk.model, disk.serial) == ("INTEL SSDSC2BB48", "PHWA624300XX480FGN")
    assert disk.wwn == "0x55cd2e404b66a0e1"
    assert (disk.transport, disk.kind) == ("sata", DiskKind.SSD)
    assert disk.controller == "pci-0000:00:1f.2"
    assert disk.location == "pci-0000:00:1f.2-ata-1"
    assert disk.ignored is None


def test_udev_knows_more_than_sysfs(tree: Tree) -> None:
    tree.disk(SATA.format(n=1, name="sda"), device__model="Samsung SSD 860 ")
    properties = {
        "ID_MODEL": "Samsung_SSD_860_EVO_500GB",
        "ID_MODEL_ENC": r"Samsung\x20SSD\x20860\x20EVO\x20500GB\x20\x20",
        "ID_SERIAL_SHORT": "S3Z2NB0K1",
        "ID_WWN": "0x5002538e40a1b2c3",
        "ID_PATH": "pci-0000:00:1f.2-ata-1.0",
        "DEVLINKS": "/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0 /dev/disk/by-id/wwn-0x5002538e40a1b2c3 "
        "/dev/disk/by-id/ata-Samsung_SSD_860_EVO_500GB_S3Z2NB0K1",
    }
    disk = inventory(tree, {"sda": properties})["sda"]
    assert disk.model == "Samsung SSD 860 EVO 500GB"
    assert (disk.serial, disk.wwn) == ("S3Z2NB0K1", "0x5002538e40a1b2c3")
    assert disk.location == "pci-0000:00:1f.2-ata-1.0"
    assert disk.by_path == ("/dev/disk/by-path/pci-0000:00:1f.2-ata-1.0",)
    assert disk.by_id == (
        "/dev/disk/by-id/ata-Samsung_SSD_860_EVO_500GB_S3Z2NB0K1",
        "/dev/disk/by-id/wwn-0x5002538e40a1b2c3",
    )


def test_scsi_serial_is_the_drives_own(tree: Tree) -> None:
    tree.disk(SAS.format(n=0, target=0, name="sda"), queue__rotational=1)
    udev = {"ID_SERIAL_SHORT": "35000c500a1b2c3d4", "ID_SCSI_SERIAL": "ZC11ABCD"}
    disk = inventory(tree, {"sda": udev})["sda"]
    assert disk.serial == "ZC11ABCD"
    assert (disk.transport, disk.kind) == ("sas", DiskKind.HDD)
    assert disk.controller == "pci-0000:81:00.0"


def test_every_volume_of_a_raid_controller_keeps_its_own_name(tree: Tree) -> None:
    for target in (0, 1):
        tree.disk(SAS.format(n=0, target=target, name=f"sd{'ab'[target]}"))
    udev = {
        "sda": {"ID_WWN": "0x600605b00bc61990", "ID_WWN_WITH_EXTENSION": "0x600605b00bc619901f0e"},
        "sdb": {"ID_WWN": "0x600605b00bc61990", "ID_WWN_WITH_EXTENSION": "0x600605b00bc619902a1b"},
    }
    assert [disk.ignored for disk in inventory(tree, udev).values()] == [None, None]


def test_nvme_disks_share_a_controller(tree: Tree) -> None:
    for n, bus in enumerate(("04", "05")):
        tree.disk(NVME.format(n=n, bus=bus), nsid=1, device__model="SAMSUNG MZQL2960", device__serial=f"S{n}")
    first, second = inventory(tree).values()
    assert first.kind is DiskKind.NVME
    assert (first.model, first.serial) == ("SAMSUNG MZQL2960", "S0")
    assert first.controller == second.controller == "nvme"
    assert first.location == "pci-0000:04:00.0-nvme-1"
    assert second.location == "pci-0000:05:00.0-nvme-1"


def test_multipath_nvme_namespace_is_listed_once_and_by_its_slot(tree: Tree) -> None:
    hidden = tree.disk("pci0000:00/0000:00:03.1/0000:07:00.0/nvme/nvme0/nvme0c0n1", nsid=1, hidden=1)
    tree.disk("virtual/nvme-subsystem/nvme-subsys0/nvme0n1", nsid=1)
    subsystem = tree.root / "sys/devices/virtual/nvme-subsystem/nvme-subsys0"
    (subsystem / "nvme0").symlink_to(hidden.parent)
    disks = inventory(tree)
    assert list(disks) == ["nvme0n1"]
    assert (disks["nvme0n1"].location, disks["nvme0n1"].transport) == ("pci-0000:07:00.0-nvme-1", "nvme")


def test_virtio_disk(tree: Tree) -> None:
    tree.disk(VIRTIO.format(n=2, slot="05", name="vda"), serial="deploy-disk", queue__rotational=1)
    disk = inventory(tree)["vda"]
    assert (disk.transport, disk.serial, disk.controller) == ("virtio", "deploy-disk", "virtio")
    assert disk.location == "pci-0000:00:05.0"


def test_emmc_and_its_hidden_areas(tree: Tree) -> None:
    emmc = "platform/fe310000.mmc/mmc_host/mmc0/mmc0:0001/block/"
    tree.disk(emmc + "mmcblk0", device__name="DG4064", device__serial="0x1b2c", device__type="MMC")
    tree.disk(emmc + "mmcblk0/mmcblk0boot0")
    tree.disk("platform/fe320000.mmc/mmc_host/mmc1/mmc1:aaaa/block/mmcblk1", device__type="SD")
    disks = inventory(tree)
    assert set(disks) == {"mmcblk0", "mmcblk1"}
    assert (disks["mmcblk0"].transport, disks["mmcblk0"].model) == ("mmc", "DG4064")
    assert disks["mmcblk0"].location == "platform-fe310000.mmc"
    assert disks["mmcblk1"].ignored is IgnoredReason.REMOVABLE


@pytest.mark.parametrize("name", ["zram0", "ram0", "loop0", "sr0", "fd0", "md127", "dm-0", "nbd0", "bcache0"])
def test_never_disks(tree: Tree, name: str) -> None:
    tree.disk(f"pci0000:00/0000:00:1f.1/block/{name}")
    assert inventory(tree) == {}


def test_what_is_virtual_or_has_no_size_is_left_out(tree: Tree) -> None:
    tree.virtual("newthing0")
    tree.disk(USB.format(name="sdz"), size=0, removable=1)
    assert inventory(tree) == {}


def test_a_name_with_an_exclamation_mark_is_a_directory_under_dev(tree: Tree) -> None:
    tree.disk("pci0000:00/0000:00:02.0/0000:02:00.0/cciss0/c0d0/block/cciss!c0d0")
    assert inventory(tree)["cciss!c0d0"].path == Path("/dev/cciss/c0d0")


def test_usb_stays_usb_behind_a_bridge_that_speaks_ata(tree: Tree) -> None:
    tree.disk(USB.format(name="sda"))
    disk = inventory(tree, {"sda": {"ID_BUS": "ata"}})["sda"]
    assert (disk.transport, disk.ignored) == ("usb", IgnoredReason.USB)


def test_removable_and_read_only(tree: Tree) -> None:
    tree.disk(SATA.format(n=1, name="sda"), removable=1)
    tree.disk(SATA.format(n=2, name="sdb"), ro=1)
    assert [disk.ignored for disk in inventory(tree).values()] == [
        IgnoredReason.REMOVABLE,
        IgnoredReason.READ_ONLY,
    ]


@pytest.mark.parametrize(
    ("attribute", "value"), [("device__state", "offline"), ("device__access_state", "standby")]
)
def test_a_path_that_takes_no_writes(tree: Tree, attribute: str, value: str) -> None:
    tree.set(tree.disk(SAS.format(n=0, target=0, name="sda")), **{attribute: value})
    assert inventory(tree)["sda"].ignored is IgnoredReason.OFFLINE


def two_paths(tree: Tree, *, first: str, second: str, serials: tuple[str, str] = ("Z1", "Z1")) -> list[Disk]:
    wwid = "naa.5000c500a1b2c3d4"
    for n, (state, serial) in enumerate(zip((first, second), serials, strict=True)):
        tree.disk(
            SAS.format(n=n, target=n, name=f"sd{'ab'[n]}"),
            device__wwid=wwid,
            device__access_state=state,
            serial=serial,
        )
    return list(inventory(tree).values())


def test_second_path_to_a_disk(tree: Tree) -> None:
    disks = two_paths(tree, first="active/optimized", second="active/optimized")
    assert [disk.ignored for disk in disks] == [None, IgnoredReason.SECOND_PATH]


def test_the_optimal_path_is_the_one_that_stays(tree: Tree) -> None:
    disks = two_paths(tree, first="active/non-optimized", second="active/optimized")
    assert [disk.ignored for disk in disks] == [IgnoredReason.SECOND_PATH, None]


def test_every_path_to_the_running_systems_disk_is_its_disk(tree: Tree) -> None:
    two_paths(tree, first="active/optimized", second="active/optimized")
    tree.mounts(f"{tree.devno(tree.node('sdb'))} / / rw - ext4 /dev/sdb rw")
    assert [disk.ignored for disk in inventory(tree).values()] == [IgnoredReason.RUNNING_SYSTEM] * 2


def test_a_disk_of_another_serial_number_is_not_the_running_systems(tree: Tree) -> None:
    two_paths(tree, first="active/optimized", second="active/optimized", serials=("Z1", "Z2"))
    tree.mounts(f"{tree.devno(tree.node('sdb'))} / / rw - ext4 /dev/sdb rw")
    assert [disk.ignored for disk in inventory(tree).values()] == [None, IgnoredReason.RUNNING_SYSTEM]


def test_a_name_given_twice_hides_no_disk(tree: Tree) -> None:
    disks = two_paths(tree, first="active/optimized", second="active/optimized", serials=("Z1", "Z2"))
    assert [disk.ignored for disk in disks] == [None, None]


def test_disks_without_a_worldwide_name_are_no_paths_of_each_other(tree: Tree) -> None:
    for n in (0, 1):
        tree.disk(SAS.format(n=n, target=n, name=f"sd{'ab'[n]}"), device__wwid="t10.QEMU    QEMU HARDDISK")
    assert [disk.ignored for disk in inventory(tree).values()] == [None, None]


def test_rescue_medium(tree: Tree) -> None:
    sda = tree.disk(SATA.format(n=1, name="sda"))
    part = tree.partition(sda, 1)
    tree.disk(SATA.format(n=2, name="sdb"))
    tree.mounts(f"{tree.devno(part)} / /run/live/medium ro - iso9660 /dev/sda1 ro")
    disks = inventory(tree)
    assert disks["sda"].ignored is IgnoredReason.RUNNING_SYSTEM
    assert disks["sdb"].ignored is None


def test_order_is_by_location_and_two_comes_before_ten(tree: Tree) -> None:
    for n, name in ((10, "sda"), (2, "sdb"), (1, "sdc")):
        tree.disk(SATA.format(n=n, name=name))
    assert list(inventory(tree)) == ["sdc", "sdb", "sda"]


def test_host_numbers_may_change_between_boots(tmp_path: Path) -> None:
    places = []
    for boot, host in enumerate((0, 6)):
        tree = Tree(tmp_path / str(boot))
        tree.disk(SAS.format(n=host, target=2, name="sda"))
        places.append(inventory(tree)["sda"].location)
    assert places == ["pci-0000:81:00.0-scsi-0:0:2:0"] * 2


def test_the_real_machine_can_be_read() -> None:
    assert all("SUBSYSTEM" in properties for properties in udev_properties().values())
    for disk in read_inventory():
        assert disk.size > 0
        assert disk.sector_size >= 512
        assert disk.path.is_block_device()
