"""Builds Debian 12 trees with mmdebstrap, and changes them from outside."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .apt_sources import SUITE, debian_sources
from .command import require_root, run

FILES = Path(__file__).resolve().parent.parent / "files"
# Nobody reads manuals in a test system, and every megabyte is one to copy and to boot.
_UNWANTED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")


@dataclass(frozen=True, kw_only=True)
class TreeRecipe:
    """What goes into a tree: packages on top of the essential ones, files laid over, units masked."""

    packages: tuple[str, ...]
    overlays: tuple[Path, ...]
    masked_units: tuple[str, ...] = ()
    enabled_units: tuple[str, ...] = ()
    unwanted_paths: tuple[str, ...] = ()
    """Patterns of paths as packages have them; what they match is not unpacked."""
    environment: Mapping[str, str] = field(default_factory=dict)

    def inputs(self) -> tuple[str | Path, ...]:
        """What a cache key of the tree has to cover."""
        # The files laid over count by what they hold, not by where the checkout lies.
        return (repr(replace(self, overlays=())), *debian_sources(), *self.overlays, Path(__file__))


def build_tree(recipe: TreeRecipe, target: Path) -> None:
    """Fill the directory `target` (which mmdebstrap makes) with the tree."""
    require_root("build a Debian tree")
    run(
        "mmdebstrap",
        *("--quiet", "--mode=root", "--variant=essential"),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in (*_UNWANTED, *recipe.unwanted_paths)),
        *("--aptopt=APT::Install-Recommends false", "--include=" + ",".join(recipe.packages)),
        *(SUITE, target),
        *debian_sources(),
        environment=recipe.environment,
    )
    for overlay in recipe.overlays:
        lay_over(overlay, target)
    for verb, units in (("mask", recipe.masked_units), ("enable", recipe.enabled_units)):
        if units:
            in_tree(target, "systemctl", verb, *units)


def in_tree(tree: Path, *arguments: str, timeout: float = 300.0) -> bytes:
    """Run one of the tree's own commands inside it."""
    return run("chroot", tree, *arguments, timeout=timeout, environment={"HOME": "/root"})


def lay_over(source: Path, tree: Path) -> None:
    """Copy all files of `source` into `tree`, owned by root, replacing what is there (links too)."""
    for path in sorted(source.rglob("*")):
        target = tree / path.relative_to(source)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            target.unlink(missing_ok=True)
            shutil.copyfile(path, target)
            target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def compile_python(tree: Path) -> None:
    """Compile every Python file of the tree: an emulated processor would take seconds for it at start."""
    in_tree(tree, "python3", "-m", "compileall", "-q", "-j", "0", "/usr/lib/python3", "/usr/lib/python3.11")


def kernel_release(tree: Path) -> str:
    """The release of the tree's only kernel."""
    (modules,) = (tree / "usr/lib/modules").iterdir()
    return modules.name
