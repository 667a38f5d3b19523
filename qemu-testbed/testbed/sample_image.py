"""Builds cloud images of Debian 12 for the virtual servers to deploy and boot."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import bios_grub, disk_layout, esp, grub_config, image_recipe, root_file_system, root_files
from .bios_grub import embed_bios_grub
from .cache import Cache, content_key
from .cloud_tree import cloud_tree, own_copy
from .command import require_root, run
from .disk_layout import partition_disk, put_partition
from .esp import build_esp
from .image_file import ImageFile, described, note_sum
from .image_recipe import GENERIC, ImageRecipe, Role
from .rescue import RescueSystem, base_system
from .root_file_system import needs_server, write_ext4, write_in_server
from .root_files import write_root_files

_BUILDERS = (bios_grub, disk_layout, esp, grub_config, image_recipe, root_file_system, root_files)


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

    def write_to(self, disk: Path) -> None:
        """Write the image to the file `disk` as it is, without anything that a deployment adds."""
        run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", self.qcow2.path, disk)

    def _convert(self, target: Path) -> None:
        raw = target / f"{self.recipe.name}.raw"
        self.write_to(raw)
        note_sum(raw)


def sample_image(recipe: ImageRecipe = GENERIC, *, cache: Cache | None = None) -> SampleImage:
    """Build what is not in the cache yet, and return the image."""
    cache = cache or Cache()
    tree = cloud_tree(recipe, cache)
    base = base_system(cache=cache) if needs_server(recipe) else None
    sources = (*(Path(module.__file__ or "") for module in _BUILDERS), Path(__file__))
    key = content_key(tree.parent.name, base.files.kernel.parent.name if base else "", repr(recipe), *sources)
    build = partial(_build, recipe=recipe, shared_tree=tree, base=base)
    return SampleImage(cache.get_or_build(recipe.name, key, build), recipe)


def _build(target: Path, recipe: ImageRecipe, shared_tree: Path, base: RescueSystem | None) -> None:
    require_root("build a disk image with files of other owners in it")
    tree, disk = target / "tree", target / "disk"
    own_copy(shared_tree, tree)
    write_root_files(recipe, tree)
    partition_disk(recipe, disk)
    if recipe.legacy_boot:
        embed_bios_grub(recipe, tree, disk)
    _write_esp(recipe, tree, disk)
    if base is None:
        write_ext4(recipe, tree, disk)
    else:
        write_in_server(recipe, tree, disk, base)
    shutil.rmtree(tree)
    _pack(recipe, disk)


def _write_esp(recipe: ImageRecipe, tree: Path, disk: Path) -> None:
    partition = recipe.partition(Role.ESP)
    if partition is None:
        return
    start, size = recipe.bytes_of(partition)
    content = disk.with_name("esp")
    build_esp(recipe, tree, content, size)
    put_partition(content, disk, start)
    content.unlink()


def _pack(recipe: ImageRecipe, disk: Path) -> None:
    qcow2 = disk.with_name(f"{recipe.name}.qcow2")
    run("qemu-img", "convert", "-c", "-W", "-m", "8", "-f", "raw", "-O", "qcow2", disk, qcow2)
    disk.unlink()
    note_sum(qcow2)
