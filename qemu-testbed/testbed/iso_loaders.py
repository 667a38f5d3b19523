"""The loaders that start a medium: GRUB for legacy firmware; shim and GRUB, both signed, for UEFI."""

from __future__ import annotations

import shutil
from pathlib import Path

from .command import run
from .debian_tree import in_tree

EL_TORITO = "eltorito.img"
"""For a CD; also what the boot sector of a stick loads."""

HYBRID_MBR = "boot_hybrid.img"
"""The boot sector of a stick, as the ISO has it too."""

ESP = "efi.img"
"""A FAT file system, for a CD as an El Torito image, for a stick as a partition."""

_ESP_BYTES = 8 << 20
_MODULES = (
    *("biosdisk", "iso9660", "part_gpt", "part_msdos", "normal", "configfile", "linux", "echo", "test"),
    *("search", "search_fs_file", "serial", "terminal", "minicmd", "reboot", "halt", "ls", "cat"),
)
# Debian's signed GRUB for media looks for /.disk/info and takes boot/grub/grub.cfg beside it.
_SIGNED = {
    "EFI/BOOT/BOOTX64.EFI": "usr/lib/shim/shimx64.efi.signed",
    "EFI/BOOT/grubx64.efi": "usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",
    "EFI/BOOT/mmx64.efi": "usr/lib/shim/mmx64.efi.signed",
}


def collect_loaders(tree: Path, target: Path) -> None:
    """Make the three files in `target` with what is in the Debian `tree`."""
    target.mkdir()
    legacy = "usr/lib/grub/i386-pc"
    image = f"/tmp/{EL_TORITO}"
    in_tree(tree, "grub-mkimage", "-O", "i386-pc-eltorito", "-p", "/boot/grub", "-o", image, *_MODULES)
    shutil.move(tree / image.lstrip("/"), target / EL_TORITO)
    shutil.copyfile(tree / legacy / HYBRID_MBR, target / HYBRID_MBR)
    _build_esp(tree, target / ESP)


def _build_esp(tree: Path, esp: Path) -> None:
    with esp.open("wb") as image:
        image.truncate(_ESP_BYTES)
    run("mkfs.fat", "-F", "16", "-s", "1", "-n", "BYOI-EFI", "-i", "62796f69", esp)
    run("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT")
    for name, source in _SIGNED.items():
        run("mcopy", "-i", esp, tree / source, f"::/{name}")
