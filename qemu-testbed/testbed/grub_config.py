"""GRUB's configuration files: the image's menu, and how its early stages find it."""

from __future__ import annotations

from .image_recipe import FileSystem, ImageRecipe

CONSOLES = "quiet console=tty0 console=ttyS0,115200"
_READERS = {FileSystem.EXT4: "ext2", FileSystem.XFS: "xfs"}

# What update-grub writes on Debian with the image's own settings, less what only a screen needs.
_MENU = """\
set default=0
set timeout=0
insmod serial
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
{modules}
search --no-floppy --fs-uuid --set=root {uuid}
menuentry 'Debian GNU/Linux' --class debian --class gnu-linux --class gnu --class os {{
    insmod gzio
    linux /boot/vmlinuz-{kernel} root={root} ro {consoles}
    initrd /boot/initrd.img-{kernel}
}}
"""
_FIND_MENU = """\
search.fs_uuid {uuid} root
set prefix=($root)/boot/grub
"""


def menu(recipe: ImageRecipe, kernel: str) -> str:
    """The image's /boot/grub/grub.cfg; `kernel` is the release that it starts."""
    return _MENU.format(
        modules="\n".join(
            f"insmod {module}" for module in ("part_gpt", "part_msdos", *storage_modules(recipe))
        ),
        uuid=recipe.identity("root file system"),
        kernel=kernel,
        root=recipe.root_device,
        consoles=CONSOLES,
    )


def find_menu(recipe: ImageRecipe) -> str:
    """The configuration in the core image: where the modules and the menu lie."""
    return _FIND_MENU.format(uuid=recipe.identity("root file system"))


def hand_over(recipe: ImageRecipe) -> str:
    """The grub.cfg on the ESP, where Debian's signed GRUB looks first."""
    return find_menu(recipe) + "configfile $prefix/grub.cfg\n"


def storage_modules(recipe: ImageRecipe) -> tuple[str, ...]:
    """The modules that read the root file system and what it lies on."""
    reader = _READERS[recipe.file_system]
    return ("lvm", reader) if recipe.on_lvm else (reader,)
