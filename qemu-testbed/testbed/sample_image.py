"""Builds cloud images of Debian 12 for the virtual servers to deploy and boot."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import boot_loaders, image_recipe
from .cache import Cache, content_key
from .command import require_root, run
from .debian_tree import FILES, TreeRecipe, build_tree, compile_python, in_tree
from .image_file import ImageFile, described, note_sum
from .image_recipe import GENERIC, ImageRecipe, Role, Table

_PACKAGES = (
    "ca-certificates",
    "cloud-guest-utils",
    "cloud-init",
    "dbus",
    "e2fsprogs",
    "fdisk",
    "gdisk",
    "grub-common",
    "grub-efi-amd64-bin",
    "grub-efi-amd64-signed",
    "grub-pc-bin",
    "grub2-common",
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
    "shim-signed",
    "sudo",
    "systemd",
    "systemd-resolved",
    "systemd-sysv",
    "udev",
)


def _tree_recipe(kernel_package: str) -> TreeRecipe:
    return TreeRecipe(
        packages=(*_PACKAGES, kernel_package),
        overlay=FILES / "cloud-image",
        # Upkeep that would start in the middle of a test and costs an emulated processor minutes.
        masked_units=(
            *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
            *("e2scrub_reap.service", "fstrim.timer", "systemd-pstore.service"),
        ),
        enabled_units=("systemd-networkd.service", "systemd-resolved.service"),
        # The initramfs is made once, after the configuration is in place.
        environment={"INITRD": "No"},
    )


@dataclass(frozen=True)
class SampleImage:
    """A built image; the qcow2 is what a server deploys."""

    directory: Path
    recipe: ImageRecipe

    @property
    def qcow2(self) -> ImageFile:
        """Compressed, as clouds publish their images."""
        return described(self.directory, self.recipe.name, "qcow2", self.recipe.size_mib << 20)

    def raw(self, cache: Cache | None = None) -> ImageFile:
        """The same bytes as the disk will have them; sparse, converted on first use."""
        entry = (cache or Cache()).get_or_build("sample-raw", self.directory.name[-16:], self._convert)
        return described(entry, self.recipe.name, "raw", self.recipe.size_mib << 20)

    def _convert(self, target: Path) -> None:
        raw = target / f"{self.recipe.name}.raw"
        run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", self.qcow2.path, raw)
        note_sum(raw)


def sample_image(recipe: ImageRecipe = GENERIC, *, cache: Cache | None = None) -> SampleImage:
    """Build what is not in the cache yet, and return the image."""
    cache = cache or Cache()
    sources = tuple(Path(module.__file__ or "") for module in (boot_loaders, image_recipe))
    wanted = _tree_recipe(recipe.kernel_package)
    tree = cache.get_or_build(
        "cloud-tree", content_key(*wanted.inputs(), *_own_lines()), partial(_build_tree, recipe=wanted)
    )
    key = content_key(tree.name, repr(recipe), *sources, Path(__file__))
    entry = cache.get_or_build(recipe.name, key, lambda target: _build_image(target, recipe, tree / "tree"))
    return SampleImage(entry, recipe)


def _own_lines() -> tuple[bytes, ...]:
    return tuple(function.__code__.co_code for function in (_build_tree, _forget_identity))


def _build_tree(target: Path, recipe: TreeRecipe) -> None:
    tree = target / "tree"
    build_tree(recipe, tree)
    _forget_identity(tree)
    compile_python(tree)
    in_tree(tree, "update-initramfs", "-c", "-k", "all")
    modules = tree / "boot/grub/i386-pc"
    shutil.copytree(
        tree / "usr/lib/grub/i386-pc", modules, ignore=shutil.ignore_patterns("*.img", "*.module")
    )


def _forget_identity(tree: Path) -> None:
    """What must differ between two servers made from one image."""
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    (tree / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    for source in (tree / "etc/apt/sources.list.d").iterdir():
        source.unlink()  # cloud-init writes Debian's own
    (tree / "etc/hostname").unlink(missing_ok=True)


def _build_image(target: Path, recipe: ImageRecipe, tree: Path) -> None:
    require_root("build a disk image with files of other owners in it")
    disk = target / "disk"
    with disk.open("wb") as image:
        image.truncate(recipe.size_mib << 20)
    run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", disk, stdin=_table(recipe).encode())
    _write_root(recipe, tree, disk)
    if recipe.legacy_boot:
        boot_loaders.embed_bios_grub(recipe, tree, disk)
    _write_esp(recipe, tree, disk)
    qcow2 = target / f"{recipe.name}.qcow2"
    run("qemu-img", "convert", "-c", "-W", "-m", "8", "-f", "raw", "-O", "qcow2", disk, qcow2)
    disk.unlink()
    note_sum(qcow2)


def _table(recipe: ImageRecipe) -> str:
    """The table as sfdisk's script. Names before the colon give the partition numbers."""
    identity = recipe.identity("table")
    label = f"0x{identity.int & 0xFFFFFFFF:08x}" if recipe.table is Table.MBR else str(identity)
    lines = [f"label: {recipe.table}", f"label-id: {label}", "unit: sectors"]
    for partition in recipe.partitions:
        start, size = (value // 512 for value in recipe.bytes_of(partition))
        line = f"disk{partition.number} : start={start}, size={size}, type={recipe.type_of(partition)}"
        own = f", uuid={recipe.identity(partition.role)}" if recipe.table is Table.GPT else ""
        lines.append(line + own)
    return "\n".join(lines) + "\n"


def _write_root(recipe: ImageRecipe, tree: Path, disk: Path) -> None:
    """Put the tree straight into its place in the disk. GRUB 2.06 cannot read the newest ext4 features."""
    _write_boot_files(recipe, tree)
    start, size = recipe.bytes_of(recipe.root)
    run(
        *("mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-U", str(recipe.identity("root file system"))),
        *(
            "-O",
            "^metadata_csum_seed,^orphan_file",
            "-E",
            f"offset={start}",
            "-d",
            tree,
            disk,
            f"{size >> 10}k",
        ),
    )


def _write_boot_files(recipe: ImageRecipe, tree: Path) -> None:
    """The few files of the tree that name this image's own file systems; each build writes them anew."""
    (tree / "boot/grub/grub.cfg").write_text(boot_loaders.grub_config(recipe, tree), encoding="ascii")
    root = recipe.identity("root file system")
    lines = [f"UUID={root} / ext4 rw,discard,errors=remount-ro,x-systemd.growfs 0 1"]
    if recipe.partition(Role.ESP):
        volume = f"{recipe.identity('ESP').int & 0xFFFFFFFF:08X}"
        lines.append(f"UUID={volume[:4]}-{volume[4:]} /boot/efi vfat defaults 0 0")
        (tree / "boot/efi").mkdir(exist_ok=True)
    (tree / "etc/fstab").write_text("\n".join(lines) + "\n", encoding="ascii")


def _write_esp(recipe: ImageRecipe, tree: Path, disk: Path) -> None:
    partition = recipe.partition(Role.ESP)
    if partition is None:
        return
    start, size = recipe.bytes_of(partition)
    esp = disk.with_name("esp")
    boot_loaders.build_esp(recipe, tree, esp, size)
    run("dd", f"if={esp}", f"of={disk}", "bs=1M", f"seek={start >> 20}", "conv=notrunc,sparse", "status=none")
    esp.unlink()
