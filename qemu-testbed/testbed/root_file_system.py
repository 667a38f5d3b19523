"""Puts an image's tree into its root file system: ext4 straight into the file, all else in a virtual server.

Neither device mapper nor XFS can be asked of the kernel of the machine that builds.
"""

from __future__ import annotations

from pathlib import Path

from .command import run
from .image_recipe import FileSystem, ImageRecipe
from .rescue import RescueSystem
from .server_config import Disk, ServerConfig
from .ssh import SshConnection
from .vm import VirtualServer

_BOOT_SECONDS = 300.0
_COPY_SECONDS = 600.0
_DISK = "/dev/vda"
_ARCHIVE = "/dev/vdb"
_MOUNT_POINT = "/tmp/root"
# Without the pattern tar leaves out what is not a user's, the capabilities of programs among it.
_WITH_ATTRIBUTES = ("--xattrs", "--xattrs-include=*", "--numeric-owner")


def needs_server(recipe: ImageRecipe) -> bool:
    """Whether the root file system is made in a virtual server."""
    return recipe.on_lvm or recipe.file_system is not FileSystem.EXT4


def write_ext4(recipe: ImageRecipe, tree: Path, disk: Path) -> None:
    """Put the tree straight into its place in the disk. GRUB 2.06 cannot read the newest ext4 features."""
    start, size = recipe.bytes_of(recipe.root)
    identity = str(recipe.identity("root file system"))
    options = ("-q", "-F", "-t", "ext4", "-b", "4096", "-L", "root", "-U", identity)
    features = ("-O", "^metadata_csum_seed,^orphan_file")
    run("mke2fs", *options, *features, "-E", f"offset={start}", "-d", tree, disk, f"{size >> 10}k")


def write_in_server(recipe: ImageRecipe, tree: Path, disk: Path, base: RescueSystem) -> None:
    """Make root in the rescue system `base`, which gets the disk, and the tree as a tar archive on a second.

    An archive is read from end to end. To copy from a mounted file system takes an emulated processor more
    than twice as long, squashfs or not.
    """
    archive = disk.with_name("tree.tar")
    run("tar", "--create", *_WITH_ATTRIBUTES, f"--file={archive}", f"--directory={tree}", ".")
    config = ServerConfig(
        name=f"build-{recipe.name}",
        disks=(Disk(path=disk, logical_sector=recipe.logical_sector), Disk(path=archive)),
        kernel_boot=base.boot(),
    )
    with VirtualServer(config) as server:
        _fill(recipe, server.wait_for_ssh(base.key, timeout=_BOOT_SECONDS))
        server.power_off(timeout=_BOOT_SECONDS)
    archive.unlink()


def _fill(recipe: ImageRecipe, shell: SshConnection) -> None:
    device = f"{_DISK}{recipe.root.number}"
    if recipe.on_lvm:
        shell.run("pvcreate", "--quiet", device)
        shell.run("vgcreate", "--quiet", recipe.volume_group, device)
        shell.run("lvcreate", "--quiet", "--extents", "100%FREE", "--name", "root", recipe.volume_group)
        device = f"/dev/{recipe.volume_group}/root"
    identity = str(recipe.identity("root file system"))
    shell.run("mkfs.xfs", "-q", "-L", "root", "-m", f"uuid={identity}", device)
    shell.run("mkdir", _MOUNT_POINT)
    shell.run("mount", "-o", "discard", device, _MOUNT_POINT)
    unpack = ("--extract", "--same-permissions", f"--file={_ARCHIVE}", f"--directory={_MOUNT_POINT}")
    shell.run("tar", *unpack, *_WITH_ATTRIBUTES, timeout=_COPY_SECONDS)
    shell.run("umount", _MOUNT_POINT, timeout=_COPY_SECONDS)
    if recipe.on_lvm:
        shell.run("vgchange", "--activate", "n", recipe.volume_group)
