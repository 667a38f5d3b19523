"""The recipes of the sample images: what each consists of, and what is written from it."""

import re
from pathlib import Path, PurePosixPath

import pytest
from testbed.disk_layout import table_script
from testbed.esp import kernel_command_line
from testbed.grub_config import find_menu, hand_over, menu, storage_modules
from testbed.image_recipe import (
    FULL,
    FULL_KERNEL,
    GENERIC,
    LEGACY_ONLY,
    LVM_XFS,
    MBR,
    RECIPES,
    SECTORS_4096,
    UEFI_ONLY,
    VARIANTS,
    ImageRecipe,
    Role,
    with_full_kernel,
)
from testbed.root_files import write_root_files
from testbed.server_config import Firmware

MIB = 1 << 20
LEGACY, UEFI, SECURE = Firmware.LEGACY, Firmware.UEFI, Firmware.SECURE
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))


@pytest.mark.parametrize(
    ("recipe", "firmwares"),
    [
        (GENERIC, (LEGACY, UEFI, SECURE)),
        (LEGACY_ONLY, (LEGACY,)),
        (MBR, (LEGACY,)),
        (UEFI_ONLY, (UEFI,)),
        (SECTORS_4096, (UEFI, SECURE)),
        (LVM_XFS, (LEGACY,)),
    ],
    ids=[recipe.name for recipe in VARIANTS],
)
def test_the_firmware_that_an_image_is_made_for(recipe: ImageRecipe, firmwares: tuple[Firmware, ...]) -> None:
    assert recipe.firmwares == firmwares
    assert with_full_kernel(recipe).firmwares == firmwares


def test_every_variant_has_a_name_of_its_own_with_either_kernel() -> None:
    assert len(RECIPES) == 2 * len(VARIANTS)
    assert RECIPES["debian-12-generic-full-kernel"] == FULL


def test_the_full_form_is_the_same_image_with_the_other_kernel() -> None:
    assert FULL.kernel_package == FULL_KERNEL
    assert (FULL.partitions, FULL.firmwares) == (GENERIC.partitions, GENERIC.firmwares)
    assert with_full_kernel(FULL) is FULL


@every_recipe
def test_partitions_lie_one_after_the_other_and_root_last(recipe: ImageRecipe) -> None:
    places = [recipe.bytes_of(partition) for partition in recipe.partitions]
    ends = [start + size for start, size in places]
    assert all(end <= start for end, (start, _) in zip(ends, places[1:], strict=False))
    assert places[0][0] == MIB
    assert ends[-1] == recipe.size_mib * MIB - MIB
    assert recipe.partitions[-1] is recipe.root
    assert recipe.root.number == 1


@every_recipe
def test_an_esp_is_large_enough_for_fat32(recipe: ImageRecipe) -> None:
    esp = recipe.partition(Role.ESP)
    if esp is not None:
        sectors = recipe.bytes_of(esp)[1] // recipe.logical_sector
        # The FATs take 4 bytes of every cluster twice, and 32 sectors are reserved.
        assert sectors - 32 - 2 * (sectors * 4 // recipe.logical_sector) >= 65525


def test_the_table_is_written_in_sectors_of_the_image() -> None:
    assert "sector-size: 512" in table_script(UEFI_ONLY)
    assert f"disk15 : start={MIB // 512}, size={255 * MIB // 512}," in table_script(UEFI_ONLY)
    assert "sector-size: 4096" in table_script(SECTORS_4096)
    assert f"disk15 : start=256, size={287 * 256}," in table_script(SECTORS_4096)


def test_an_mbr_has_no_partition_uuids() -> None:
    assert "uuid=" not in table_script(MBR)
    assert re.search(r"^label-id: 0x[0-9a-f]{8}$", table_script(MBR), re.MULTILINE)


def test_grub_finds_a_root_on_lvm() -> None:
    assert storage_modules(LVM_XFS) == ("lvm", "xfs")
    written = menu(LVM_XFS, "6.1.0")
    assert "insmod lvm\ninsmod xfs\n" in written
    assert "linux /boot/vmlinuz-6.1.0 root=/dev/mapper/system-root ro" in written


@every_recipe
def test_root_and_menu_are_found_by_uuid(recipe: ImageRecipe) -> None:
    uuid = str(recipe.identity("root file system"))
    for text in (menu(recipe, "6.1.0"), find_menu(recipe), hand_over(recipe)):
        assert uuid in text
    assert recipe.on_lvm or recipe.root_device == f"UUID={uuid}"
    assert recipe.root_device in kernel_command_line(recipe)


def tree(path: Path) -> Path:
    for name in ("usr/lib/modules/6.1.0", "boot", "etc"):
        (path / name).mkdir(parents=True)
    return path


def written_files(root: Path) -> set[PurePosixPath]:
    return {PurePosixPath(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_an_image_with_grub_has_a_menu(tmp_path: Path) -> None:
    write_root_files(LVM_XFS, tree(tmp_path))
    assert written_files(tmp_path) == {PurePosixPath("etc/fstab"), PurePosixPath("boot/grub/grub.cfg")}
    assert (tmp_path / "etc/fstab").read_text().startswith("/dev/mapper/system-root / xfs ")
    assert not (tmp_path / "boot/efi").exists()


def test_an_image_without_grub_has_none(tmp_path: Path) -> None:
    write_root_files(UEFI_ONLY, tree(tmp_path))
    assert written_files(tmp_path) == {PurePosixPath("etc/fstab"), PurePosixPath("etc/kernel/cmdline")}
    assert re.search(
        r"^UUID=[0-9A-F]{4}-[0-9A-F]{4} /boot/efi vfat ",
        (tmp_path / "etc/fstab").read_text(),
        re.MULTILINE,
    )
