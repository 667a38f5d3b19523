"""Builds the EFI system partition of an image, with shim and GRUB or with systemd-boot in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from .command import run
from .debian_tree import kernel_release
from .grub_config import CONSOLES, hand_over
from .image_recipe import ImageRecipe, UefiLoader

Files = Mapping[str, Path | bytes]
# Boot Loader Specification, type 1; the names are those that Debian's kernel-install gives.
_ENTRY = """\
title      Debian GNU/Linux 12 (bookworm)
version    {kernel}
sort-key   debian
options    {command_line}
linux      /debian/{kernel}/linux
initrd     /debian/{kernel}/initrd.img-{kernel}
"""


def build_esp(recipe: ImageRecipe, tree: Path, target: Path, size: int) -> None:
    """Make the ESP (`size` bytes) in a file of its own: mtools cannot read a FAT made at an offset."""
    with target.open("wb") as image:
        image.truncate(size)
    sectors = ("-S", str(recipe.logical_sector), "-s", "1")
    run("mkfs.fat", "-F", "32", *sectors, "-n", "UEFI", "-i", f"{recipe.esp_volume:08x}", target)
    loader = {UefiLoader.SHIM_GRUB: _shim_grub, UefiLoader.SYSTEMD_BOOT: _systemd_boot}
    files = loader[recipe.uefi_loader](recipe, tree)
    run("mmd", "-i", target, *_directories(files))
    for name, content in files.items():
        _copy(target, name, content)


def kernel_command_line(recipe: ImageRecipe) -> str:
    """What systemd-boot's entry gives the kernel, and /etc/kernel/cmdline to the entries of later kernels."""
    return f"root={recipe.root_device} ro {CONSOLES}"


def _directories(files: Files) -> list[str]:
    """All directories that the files lie in, each after the one it is in."""
    parents = {parent for name in files for parent in PurePosixPath(name).parents if parent.name}
    return [f"::/{directory}" for directory in sorted(parents)]


def _copy(target: Path, name: str, content: Path | bytes) -> None:
    source, stdin = (content, b"") if isinstance(content, Path) else ("-", content)
    run("mcopy", "-i", target, source, f"::/{name}", stdin=stdin)


def _shim_grub(recipe: ImageRecipe, tree: Path) -> Files:
    shim = tree / "usr/lib/shim/shimx64.efi.signed"
    grub = tree / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
    manager = tree / "usr/lib/shim/mmx64.efi.signed"
    return {
        "EFI/BOOT/BOOTX64.EFI": shim,
        "EFI/BOOT/grubx64.efi": grub,
        "EFI/BOOT/mmx64.efi": manager,
        "EFI/debian/shimx64.efi": shim,
        "EFI/debian/grubx64.efi": grub,
        "EFI/debian/mmx64.efi": manager,
        "EFI/debian/fbx64.efi": tree / "usr/lib/shim/fbx64.efi.signed",
        "EFI/debian/BOOTX64.CSV": tree / "usr/lib/shim/BOOTX64.CSV",
        "EFI/debian/grub.cfg": hand_over(recipe).encode(),
    }


def _systemd_boot(recipe: ImageRecipe, tree: Path) -> Files:
    """As `bootctl install` and `kernel-install add` lay it out."""
    loader = tree / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
    kernel = kernel_release(tree)
    entry = _ENTRY.format(kernel=kernel, command_line=kernel_command_line(recipe))
    return {
        "EFI/BOOT/BOOTX64.EFI": loader,
        "EFI/systemd/systemd-bootx64.efi": loader,
        "loader/loader.conf": b"timeout 0\n",
        "loader/entries.srel": b"type1\n",
        f"loader/entries/debian-{kernel}.conf": entry.encode(),
        f"debian/{kernel}/linux": tree / f"boot/vmlinuz-{kernel}",
        f"debian/{kernel}/initrd.img-{kernel}": tree / f"boot/initrd.img-{kernel}",
    }
