"""Makes an image file bootable without any block device: GRUB for the BIOS, shim and GRUB for UEFI."""

from __future__ import annotations

import struct
from pathlib import Path

from .command import run
from .debian_tree import in_tree, kernel_release
from .image_recipe import ImageRecipe, Role, Table

_SECTOR = 512
_MODULES_BIOS = ("biosdisk", "part_gpt", "part_msdos", "ext2", "search_fs_uuid", "normal", "configfile")
_BIOS = "usr/lib/grub/i386-pc"
_EARLY = "tmp/early.cfg"
_CORE = "tmp/core.img"

# What grub-mkconfig writes on Debian, less its comments.
_GRUB_CONFIG = """\
set default=0
set timeout=0
insmod serial
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
insmod part_gpt
insmod part_msdos
insmod ext2
search --no-floppy --fs-uuid --set=root {uuid}
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux --class gnu --class os {{
    insmod gzio
    linux /boot/vmlinuz-{kernel} root=UUID={uuid} ro quiet console=tty0 console=ttyS0,115200
    initrd /boot/initrd.img-{kernel}
}}
"""
_HAND_OVER = """\
search.fs_uuid {uuid} root
set prefix=($root)/boot/grub
configfile $prefix/grub.cfg
"""


def grub_config(recipe: ImageRecipe, tree: Path) -> str:
    """The image's /boot/grub/grub.cfg."""
    return _GRUB_CONFIG.format(uuid=recipe.identity("root file system"), kernel=kernel_release(tree))


def embed_bios_grub(recipe: ImageRecipe, tree: Path, disk: Path) -> None:
    """Write GRUB's boot code the way grub-bios-setup does, which itself works on real devices only."""
    early = f"search.fs_uuid {recipe.identity('root file system')} root\nset prefix=($root)/boot/grub\n"
    (tree / _EARLY).write_text(early, encoding="ascii")
    options = ("-O", "i386-pc", "-o", f"/{_CORE}", "-p", "/boot/grub", "-c", f"/{_EARLY}")
    in_tree(tree, "grub-mkimage", *options, *_MODULES_BIOS)
    core = bytearray((tree / _CORE).read_bytes())
    for used in (_EARLY, _CORE):
        (tree / used).unlink()
    with disk.open("r+b") as image:
        first_sector = _place_of_core(recipe)
        image.seek(first_sector * _SECTOR)
        image.write(_core_at(core, first_sector))
        image.seek(0)
        mbr = image.read(_SECTOR)
        image.seek(0)
        image.write(_boot_sector((tree / _BIOS / "boot.img").read_bytes(), mbr, first_sector))


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


def build_esp(recipe: ImageRecipe, tree: Path, target: Path, size: int) -> None:
    """Make the ESP (`size` bytes) in a file of its own: mtools cannot read a FAT made at an offset."""
    with target.open("wb") as image:
        image.truncate(size)
    volume = f"{recipe.identity('ESP').int & 0xFFFFFFFF:08x}"
    run("mkfs.fat", "-F", "32", "-n", "UEFI", "-i", volume, target)
    directories = ("::/EFI", "::/EFI/BOOT", "::/EFI/debian")
    run("mmd", "-i", target, *directories)
    shim = tree / "usr/lib/shim/shimx64.efi.signed"
    grub = tree / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
    manager = tree / "usr/lib/shim/mmx64.efi.signed"
    names = {
        "EFI/BOOT/BOOTX64.EFI": shim,
        "EFI/BOOT/grubx64.efi": grub,
        "EFI/BOOT/mmx64.efi": manager,
        "EFI/debian/shimx64.efi": shim,
        "EFI/debian/grubx64.efi": grub,
        "EFI/debian/mmx64.efi": manager,
        "EFI/debian/fbx64.efi": tree / "usr/lib/shim/fbx64.efi.signed",
        "EFI/debian/BOOTX64.CSV": tree / "usr/lib/shim/BOOTX64.CSV",
    }
    for name, source in names.items():
        run("mcopy", "-i", target, source, f"::/{name}")
    hand_over = _HAND_OVER.format(uuid=recipe.identity("root file system")).encode()
    run("mcopy", "-i", target, "-", "::/EFI/debian/grub.cfg", stdin=hand_over)
