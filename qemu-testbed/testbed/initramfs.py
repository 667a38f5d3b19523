"""The archives that the kernel unpacks as its first file system."""

from __future__ import annotations

import shutil
from pathlib import Path

from .command import run
from .debian_tree import FILES, kernel_release

_MODULES = ("loop", "squashfs", "overlay")
INIT = FILES / "initramfs/init"


def pack_cpio(directory: Path, archive: Path) -> None:
    """Write all of `directory` to an uncompressed cpio archive; archives may be put one after the other."""
    names = sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))
    listing = "\0".join(names).encode()
    packed = run(
        "cpio", "--create", "--null", "--quiet", "--format=newc", "--owner=0:0", cwd=directory, stdin=listing
    )
    archive.write_bytes(packed)


def pack_layer(directory: Path, squashfs: Path) -> None:
    """Pack a directory as a layer of the rescue system.

    zstd at a low level: the packing takes seconds, and unpacking costs little even on an emulated processor.
    """
    compression = ("-comp", "zstd", "-Xcompression-level", "3", "-b", "128K")
    run("mksquashfs", directory, squashfs, "-noappend", "-no-progress", "-quiet", "-all-root", *compression)


def fill_starter(tree: Path, target: Path) -> None:
    """Lay out what mounts the layers: init, busybox, and the modules in loading order."""
    (target / "bin").mkdir(parents=True)
    shutil.copy(tree / "bin/busybox", target / "bin/busybox")
    shutil.copy(INIT, target / "init")
    (target / "modules").mkdir()
    release = tree / "usr/lib/modules" / kernel_release(tree)
    for number, module in enumerate(_loading_order(release)):
        shutil.copy(release / module, target / "modules" / f"{number:02}-{Path(module).name}")


def _loading_order(release: Path) -> list[str]:
    """Paths below `release`, each after what it needs; modules.dep names the innermost need last."""
    needs: dict[str, list[str]] = {}
    for line in (release / "modules.dep").read_text(encoding="ascii").splitlines():
        module, _, wanted = line.partition(":")
        needs[module] = wanted.split()
    order: list[str] = []
    for name in _MODULES:
        (module,) = (path for path in needs if Path(path).name == f"{name}.ko")
        order.extend(path for path in (*reversed(needs[module]), module) if path not in order)
    return order
