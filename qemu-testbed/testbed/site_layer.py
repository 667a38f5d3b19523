"""What one site adds to the rescue system: who may log in, how disks are grouped, files of its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from .cache import Cache, content_key
from .debian_tree import lay_over
from .initramfs import pack_cpio, pack_layer

GROUPS_PATH = "etc/byoi-agent/disk-groups.toml"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A site's additions. An empty one has none."""

    ssh_keys: tuple[str, ...] = ()
    """Public keys, a line each, that may log in as root."""
    disk_groups: str = ""
    """The text of the file that pins disk groups."""
    overlay: Path | None = None
    """A directory whose files are laid over the system, owned by root."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is added."""
        return self == Site()


def layer(site: Site, cache: Cache) -> Path:
    """The cache entry of the layer, with a file `initrd` to append to the base's."""
    overlay = () if site.overlay is None else (site.overlay,)
    key = content_key(Path(__file__), *site.ssh_keys, "groups", site.disk_groups, *overlay)
    return cache.get_or_build("rescue-site", key, lambda target: _build(target, site))


def _build(target: Path, site: Site) -> None:
    tree = target / "tree"
    tree.mkdir()
    if site.overlay is not None:
        lay_over(site.overlay, tree)
    if site.disk_groups:
        groups = tree / GROUPS_PATH
        groups.parent.mkdir(parents=True, exist_ok=True)
        groups.write_text(site.disk_groups, encoding="utf-8")
    if site.ssh_keys:
        keys = tree / "root/.ssh/authorized_keys"
        keys.parent.mkdir(parents=True, exist_ok=True)
        keys.write_text("".join(f"{key}\n" for key in site.ssh_keys), encoding="utf-8")
    _set_modes(tree)
    directory = target / "layer/layers"
    directory.mkdir(parents=True)
    pack_layer(tree, directory / "60-site.squashfs")
    pack_cpio(target / "layer", target / "initrd")
    shutil.rmtree(target / "layer")
    shutil.rmtree(tree)


def _set_modes(tree: Path) -> None:
    """A directory of the upper layer counts with its mode also where a lower one has it."""
    for path in (tree, *tree.rglob("*")):
        if path.is_dir():
            path.chmod(0o700 if path.relative_to(tree).parts[:1] == ("root",) else 0o755)
