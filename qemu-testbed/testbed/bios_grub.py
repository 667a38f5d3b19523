"""Makes an image file boot with the BIOS: GRUB's boot sector and core image, without any block device."""

from __future__ import annotations

import struct
from pathlib import Path

from .cloud_tree import put_file
from .debian_tree import in_tree
from .grub_config import find_menu, storage_modules
from .image_recipe import ImageRecipe, Role, Table

_SECTOR = 512
_MODULES = ("biosdisk", "part_gpt", "part_msdos", "search_fs_uuid", "normal", "configfile")
_EARLY = "tmp/early.cfg"
_CORE = "tmp/core.img"


def embed_bios_grub(recipe: ImageRecipe, tree: Path, disk: Path) -> None:
    """Write GRUB's boot code the way grub-bios-setup does, which itself works on real devices only."""
    core = _core(recipe, tree)
    with disk.open("r+b") as image:
        first_sector = _place_of_core(recipe)
        image.seek(first_sector * _SECTOR)
        image.write(_core_at(core, first_sector))
        image.seek(0)
        mbr = image.read(_SECTOR)
        image.seek(0)
        image.write(_boot_sector((tree / "usr/lib/grub/i386-pc/boot.img").read_bytes(), mbr, first_sector))


def _core(recipe: ImageRecipe, tree: Path) -> bytearray:
    put_file(tree, _EARLY, find_menu(recipe))
    options = ("-O", "i386-pc", "-o", f"/{_CORE}", "-p", "/boot/grub", "-c", f"/{_EARLY}")
    in_tree(tree, "grub-mkimage", *options, *_MODULES, *storage_modules(recipe))
    core = bytearray((tree / _CORE).read_bytes())
    for used in (_EARLY, _CORE):
        (tree / used).unlink()
    return core


def _place_of_core(recipe: ImageRecipe) -> int:
    """On GPT the BIOS boot partition; behind an MBR the gap before the first partition."""
    if recipe.table is Table.MBR:
        return 1
    partition = recipe.partition(Role.BIOS_BOOT)
    assert partition is not None
    return recipe.bytes_of(partition)[0] // _SECTOR


def _core_at(core: bytearray, first_sector: int) -> bytes:
    """Fill in the block list at the end of the first sector: where the rest lies, and where it goes."""
    core.extend(bytes(-len(core) % _SECTOR))
    sectors = len(core) // _SECTOR
    core[_SECTOR - 12 : _SECTOR] = struct.pack("<QHH", first_sector + 1, sectors - 1, 0x820)
    return bytes(core)


def _boot_sector(code: bytes, mbr: bytes, first_sector: int) -> bytes:
    """GRUB's boot.img, with the disk's own parameter block (3 to 0x59) and table (from 0x1b8)."""
    sector = bytearray(code[:_SECTOR])
    sector[0x03:0x5A] = mbr[0x03:0x5A]
    sector[0x1B8:0x1FE] = mbr[0x1B8:0x1FE]
    sector[0x5C:0x64] = struct.pack("<Q", first_sector)
    sector[0x64] = 0xFF  # the drive that the BIOS names
    sector[0x66:0x68] = b"\x90\x90"  # trust the BIOS's word only if it is a hard disk's
    return bytes(sector)
