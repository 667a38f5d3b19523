"""Builds the files of a cloud image: Debian 12 with cloud-init, and what the image's way to boot needs.

A tree is shared by all images that hold the same packages; what names one image's own file systems is written
into a copy of it.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from .cache import Cache, content_key
from .command import run
from .debian_tree import FILES, TreeRecipe, build_tree, compile_python, in_tree
from .image_recipe import FULL_KERNEL, ImageRecipe

_PACKAGES = (
    "ca-certificates",
    "cloud-guest-utils",
    "cloud-init",
    "dbus",
    "e2fsprogs",
    "fdisk",
    "gdisk",
    "initramfs-tools",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "login",
    "lz4",
    "netbase",
    "openssh-server",
    "passwd",
    "procps",
    "sudo",
    "systemd",
    "systemd-resolved",
    "systemd-sysv",
    "udev",
)
_GRUB = (
    "grub-common",
    "grub-efi-amd64-bin",
    "grub-efi-amd64-signed",
    "grub-pc-bin",
    "grub2-common",
    "shim-signed",
)
_SYSTEMD_BOOT = ("systemd-boot",)
_LVM_XFS = ("lvm2", "xfsprogs")


def cloud_tree(recipe: ImageRecipe, cache: Cache) -> Path:
    """The tree's directory in the cache, built where it is not there. Nobody may change what is in it."""
    wanted = _tree_recipe(recipe)
    key = content_key(*wanted.inputs(), Path(__file__))
    return cache.get_or_build(_name(recipe), key, partial(_build, recipe=wanted)) / "tree"


def own_copy(tree: Path, target: Path) -> None:
    """Copy a tree as links to the same files: quick, and safe as long as files are replaced, not changed."""
    run("cp", "--archive", "--link", tree, target)


def put_file(tree: Path, name: str, content: str) -> None:
    """Put a file into an own copy of a tree, in place of what is there."""
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(content, encoding="ascii")


def _name(recipe: ImageRecipe) -> str:
    """A name for each set of packages, so that one kind of tree does not push another out of the cache."""
    parts = {
        "systemd-boot": not recipe.uses_grub,
        "lvm-xfs": recipe.on_lvm,
        "full-kernel": recipe.kernel_package == FULL_KERNEL,
    }
    return "-".join(["cloud-tree", *(part for part, wanted in parts.items() if wanted)])


def _tree_recipe(recipe: ImageRecipe) -> TreeRecipe:
    loader = _GRUB if recipe.uses_grub else _SYSTEMD_BOOT
    return TreeRecipe(
        packages=(*_PACKAGES, *loader, *(_LVM_XFS if recipe.on_lvm else ()), recipe.kernel_package),
        overlays=(
            FILES / "cloud-image",
            FILES / ("cloud-grub" if recipe.uses_grub else "cloud-systemd-boot"),
        ),
        # Upkeep that would start in the middle of a test and costs an emulated processor minutes.
        masked_units=(
            *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
            *("e2scrub_reap.service", "fstrim.timer", "systemd-pstore.service"),
            *(("xfs_scrub_all.timer",) if recipe.on_lvm else ()),
        ),
        enabled_units=("systemd-networkd.service", "systemd-resolved.service"),
        # The initramfs is made once, after the configuration is in place.
        environment={"INITRD": "No"},
    )


def _build(target: Path, recipe: TreeRecipe) -> None:
    tree = target / "tree"
    build_tree(recipe, tree)
    _forget_identity(tree)
    compile_python(tree)
    in_tree(tree, "update-initramfs", "-c", "-k", "all")
    _install_grub_modules(tree)


def _forget_identity(tree: Path) -> None:
    """What must differ between two servers made from one image."""
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (tree / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    for source in (tree / "etc/apt/sources.list.d").iterdir():
        source.unlink()  # cloud-init writes Debian's own
    (tree / "etc/hostname").unlink(missing_ok=True)


def _install_grub_modules(tree: Path) -> None:
    """Copy the modules to where grub-install would: GRUB on the BIOS loads what its core does not have."""
    modules = tree / "usr/lib/grub/i386-pc"
    if modules.is_dir():
        unwanted = shutil.ignore_patterns("*.img", "*.module")
        shutil.copytree(modules, tree / "boot/grub/i386-pc", ignore=unwanted)
