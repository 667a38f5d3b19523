"""Which system answers on a server: one in memory is deployed to, an installed one never."""

import pytest
from ansible_collections.byoi.agent.plugins.filter.rescue import rescue
from ansible_collections.byoi.agent.plugins.plugin_utils.system import is_called, read

PROC = "proc /proc proc rw,nosuid 0 0\nsysfs /sys sysfs rw 0 0\ntmpfs /run tmpfs rw,size=400000k 0 0\n"
BOOT_ID = "fbbf9194-cfbf-4a76-9225-0206f45f4ed9"

RESCUE = {
    "our own": "rootfs / rootfs rw 0 0\noverlay / overlay rw,lowerdir=/layers 0 0\n",
    "in an initramfs": "rootfs / rootfs rw 0 0\n",
    "in memory": "tmpfs / tmpfs rw 0 0\n",
    "Debian live": "overlay / overlay rw 0 0\n/dev/sr0 /run/live/medium iso9660 ro 0 0\n"
    "/dev/loop0 /run/live/rootfs squashfs ro 0 0\n",
    "on a stick": "overlay / overlay rw 0 0\n/dev/sdb1 /run/archiso/bootmnt vfat ro 0 0\n",
    "over NFS": "10.0.0.1:/rescue / nfs4 ro 0 0\n",
    "with the old system mounted by hand": "overlay / overlay rw 0 0\n/dev/sda1 /mnt ext4 rw 0 0\n"
    "/dev/sda2 /mnt/boot ext4 rw 0 0\n",
}
INSTALLED = {
    "Debian": ("/dev/vda1 / ext4 rw 0 0\n/dev/vda15 /boot/efi vfat rw 0 0\n", "ext4 on /dev/vda1"),
    "on btrfs": ("/dev/mapper/root / btrfs rw 0 0\n", "btrfs on /dev/mapper/root"),
    "on ZFS": ("rpool/ROOT / zfs rw 0 0\n", "zfs on rpool/ROOT"),
    "after its initramfs": ("rootfs / rootfs rw 0 0\n/dev/sda1 / xfs rw 0 0\n", "xfs on /dev/sda1"),
    "image based": ("composefs / overlay ro 0 0\n/dev/sda3 /sysroot xfs rw 0 0\n", "/sysroot is xfs"),
    "overlayroot": ("/dev/sda1 /media/root-ro ext4 ro 0 0\noverlay / overlay rw 0 0\n", "/media/root-ro"),
    "a container": ("overlay / overlay rw 0 0\n/dev/sda1 /etc/hosts ext4 rw 0 0\n", "/etc/hosts is ext4"),
    "data beside a root in memory": ("tmpfs / tmpfs rw 0 0\n/dev/nvme0n1p2 /mntx ext4 rw 0 0\n", "/mntx"),
}


def answer(mounts: str) -> str:
    return f"{BOOT_ID}\nweb1\n{mounts}{PROC}"


@pytest.mark.parametrize("mounts", RESCUE.values(), ids=RESCUE.keys())
def test_a_rescue_system(mounts: str) -> None:
    found = rescue(answer(mounts))
    assert (found["rescue"], found["boot_id"], found["hostname"]) == (True, BOOT_ID, "web1")


@pytest.mark.parametrize(("mounts", "reason"), INSTALLED.values(), ids=INSTALLED.keys())
def test_an_installed_system(mounts: str, reason: str) -> None:
    found = rescue(answer(mounts))
    assert found["rescue"] is False
    assert reason in found["reason"]


@pytest.mark.parametrize("said", ["", "cat: not found", f"{BOOT_ID}\nweb1\n", f"{BOOT_ID}\r\nweb1\r\n"])
def test_no_answer_is_no_rescue_system(said: str) -> None:
    assert read(said) is None
    assert rescue(said)["rescue"] is False


def test_mounts_without_a_root_are_no_rescue_system() -> None:
    assert rescue(answer(""))["rescue"] is False


def test_an_answer_over_a_terminal_has_other_line_ends() -> None:
    assert rescue(answer(RESCUE["our own"]).replace("\n", "\r\n"))["hostname"] == "web1"


@pytest.mark.parametrize(
    ("wanted", "right"), [("web1", True), ("WEB1.example", True), ("web", False), ("x.web1", False)]
)
def test_host_names(wanted: str, right: bool) -> None:
    system = read(answer(RESCUE["our own"]))
    assert system is not None
    assert is_called(system, wanted) is right
