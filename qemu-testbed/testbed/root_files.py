"""The few files of a tree that name one image's own file systems."""

from __future__ import annotations

from pathlib import Path

from .cloud_tree import put_file
from .debian_tree import kernel_release
from .esp import kernel_command_line
from .grub_config import menu
from .image_recipe import FileSystem, ImageRecipe, Role

# The options of Debian's own cloud images.
_MOUNT_OPTIONS = {
    FileSystem.EXT4: "rw,discard,errors=remount-ro,x-systemd.growfs 0 1",
    FileSystem.XFS: "rw,discard,x-systemd.growfs 0 0",
}


def write_root_files(recipe: ImageRecipe, tree: Path) -> None:
    """Write fstab and what a kernel is started with into the image's own copy of the tree."""
    put_file(tree, "etc/fstab", _fstab(recipe))
    if recipe.partition(Role.ESP):
        (tree / "boot/efi").mkdir()
    if recipe.uses_grub:
        put_file(tree, "boot/grub/grub.cfg", menu(recipe, kernel_release(tree)))
    else:
        put_file(tree, "etc/kernel/cmdline", f"{kernel_command_line(recipe)}\n")


def _fstab(recipe: ImageRecipe) -> str:
    options = _MOUNT_OPTIONS[recipe.file_system]
    lines = [f"{recipe.root_device} / {recipe.file_system} {options}"]
    if recipe.partition(Role.ESP):
        volume = f"{recipe.esp_volume:08X}"
        lines.append(f"UUID={volume[:4]}-{volume[4:]} /boot/efi vfat defaults 0 0")
    return "\n".join(lines) + "\n"
