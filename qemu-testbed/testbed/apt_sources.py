"""Finds the apt source files of this machine that offer Debian 12, for building trees from the same mirror.

No mirror stands in this repository: what the machine installs from, the trees are built from.
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import TestbedError

SUITE = "bookworm"
_APT = Path("/etc/apt")


def debian_sources() -> list[Path]:
    """The files to hand to mmdebstrap: `$BYOI_APT_SOURCES` (one file), or what /etc/apt has for Debian 12."""
    if chosen := os.environ.get("BYOI_APT_SOURCES"):
        return [Path(chosen)]
    candidates = [_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*"))]
    found = [path for path in candidates if path.is_file() and _offers_suite(path)]
    if not found:
        raise TestbedError(
            f"no apt source file on this machine offers Debian {SUITE}",
            hint="Name one in BYOI_APT_SOURCES (a .list or a deb822 .sources file).",
        )
    return found


def _offers_suite(path: Path) -> bool:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if path.suffix == ".sources":
        return any(SUITE in line.split()[1:] for line in lines if line.startswith("Suites:"))
    if path.suffix == ".list":
        return any(
            SUITE in line.split() and "main" in line.split() for line in lines if line.startswith("deb ")
        )
    return False
