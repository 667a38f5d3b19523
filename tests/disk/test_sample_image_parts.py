"""The parts of sample images that are made in files, judged by other tools than those that made them."""

import os
import shutil
from pathlib import Path

import pytest
from testbed.cloud_tree import own_copy, put_file
from testbed.disk_layout import partition_disk, put_partition
from testbed.esp import build_esp
from testbed.image_recipe import GENERIC, LVM_XFS, MBR, RECIPES, SECTORS_4096, UEFI_ONLY, ImageRecipe, Role

from tests.disk.loop_device import loop_device
from tests.small_images import MIB, tool

KERNEL = "6.1.0"
SIZE = 287 * MIB


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with just what goes onto an ESP, each file of its own content."""
    root = tmp_path / "tree"
    for name in (
        *("usr/lib/shim/shimx64.efi.signed", "usr/lib/shim/mmx64.efi.signed"),
        *("usr/lib/shim/fbx64.efi.signed", "usr/lib/shim/BOOTX64.CSV"),
        *("usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",),
        *("usr/lib/systemd/boot/efi/systemd-bootx64.efi",),
        *(f"boot/vmlinuz-{KERNEL}", f"boot/initrd.img-{KERNEL}"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode() + os.urandom(10000))
    (root / "usr/lib/modules" / KERNEL).mkdir(parents=True)
    return root


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_the_table_is_whole(recipe: ImageRecipe, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    partition_disk(recipe, disk)
    assert disk.stat().st_size == recipe.size_mib * MIB
    with loop_device(disk, sector_size=recipe.logical_sector) as device:
        if recipe is not MBR and recipe.name != f"{MBR.name}-full-kernel":
            assert "No problems found" in tool("sgdisk", "--verify", device)
        dump = tool("sfdisk", "--dump", device)
    for partition in recipe.partitions:
        start, size = (value // recipe.logical_sector for value in recipe.bytes_of(partition))
        (line,) = (line for line in dump.splitlines() if f"p{partition.number} : " in line)
        assert f"start={start:>12}, size={size:>12}, type={recipe.type_of(partition)}" in line


@pytest.mark.parametrize("recipe", [GENERIC, SECTORS_4096], ids=lambda recipe: recipe.name)
def test_shim_and_grub_lie_at_both_paths(recipe: ImageRecipe, tree: Path, tmp_path: Path) -> None:
    esp = tmp_path / "esp"
    build_esp(recipe, tree, esp, SIZE)
    tool("fsck.fat", "-n", esp)
    shim = (tree / "usr/lib/shim/shimx64.efi.signed").read_bytes()
    for name in ("EFI/BOOT/BOOTX64.EFI", "EFI/debian/shimx64.efi"):
        assert content(esp, name, tmp_path) == shim
    assert str(recipe.identity("root file system")) in content(esp, "EFI/debian/grub.cfg", tmp_path).decode()


@pytest.mark.parametrize("recipe", [GENERIC, UEFI_ONLY, SECTORS_4096], ids=lambda recipe: recipe.name)
def test_the_fat_is_fat32_with_the_sectors_of_the_disk(
    recipe: ImageRecipe, tree: Path, tmp_path: Path
) -> None:
    esp = tmp_path / "esp"
    partition = recipe.partition(Role.ESP)
    assert partition is not None
    build_esp(recipe, tree, esp, recipe.bytes_of(partition)[1])
    with esp.open("rb") as volume:
        boot_sector = volume.read(512)
    assert int.from_bytes(boot_sector[11:13], "little") == recipe.logical_sector
    # Of the smallest clusters there are enough for a FAT32, on which firmware insists in different ways.
    assert boot_sector[13] == 1
    seen = tool("blkid", "--probe", "--output", "export", esp).splitlines()
    assert {"TYPE=vfat", "VERSION=FAT32", "LABEL=UEFI"} <= set(seen)
    assert f"UUID={recipe.esp_volume >> 16:04X}-{recipe.esp_volume & 0xFFFF:04X}" in seen


def test_systemd_boot_finds_an_entry_with_kernel_and_initrd(tree: Path, tmp_path: Path) -> None:
    esp = tmp_path / "esp"
    build_esp(UEFI_ONLY, tree, esp, SIZE)
    loader = (tree / "usr/lib/systemd/boot/efi/systemd-bootx64.efi").read_bytes()
    for name in ("EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi"):
        assert content(esp, name, tmp_path) == loader
    lines = content(esp, f"loader/entries/debian-{KERNEL}.conf", tmp_path).decode().splitlines()
    entry = dict(line.split(maxsplit=1) for line in lines)
    assert content(esp, entry["linux"], tmp_path) == (tree / f"boot/vmlinuz-{KERNEL}").read_bytes()
    assert content(esp, entry["initrd"], tmp_path) == (tree / f"boot/initrd.img-{KERNEL}").read_bytes()
    assert f"root={UEFI_ONLY.root_device} ro" in entry["options"]
    assert content(esp, "loader/loader.conf", tmp_path) == b"timeout 0\n"


def content(esp: Path, name: str, folder: Path) -> bytes:
    copy = folder / "copy"
    tool("mcopy", "-n", "-o", "-i", esp, f"::/{name.lstrip('/')}", copy)
    return copy.read_bytes()


def test_a_partition_lands_at_its_place_and_leaves_the_rest(tmp_path: Path) -> None:
    disk, part = tmp_path / "disk", tmp_path / "part"
    disk.write_bytes(b"\xff" * 4 * MIB)
    part.write_bytes(b"\xaa" * MIB)
    put_partition(part, disk, 2 * MIB)
    assert disk.read_bytes() == b"\xff" * 2 * MIB + b"\xaa" * MIB + b"\xff" * MIB


def test_what_is_put_into_a_copy_does_not_reach_the_tree(tmp_path: Path) -> None:
    tree, copy = tmp_path / "tree", tmp_path / "copy"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/fstab").write_text("the tree's own\n")
    own_copy(tree, copy)
    put_file(copy, "etc/fstab", "the image's\n")
    put_file(copy, "boot/grub/grub.cfg", "menu\n")
    assert (tree / "etc/fstab").read_text() == "the tree's own\n"
    assert (copy / "etc/fstab").read_text() == "the image's\n"
    assert not (tree / "boot").exists()
    shutil.rmtree(copy)
    assert (tree / "etc/fstab").exists()


def test_an_lvm_image_has_the_partition_type_of_lvm() -> None:
    assert LVM_XFS.type_of(LVM_XFS.root) == "E6D6D379-F507-44C2-A23C-238F2A3DF928"
