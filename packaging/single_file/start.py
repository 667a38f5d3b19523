"""Starts the program: this Python is looked at, the contents are found or unpacked, and nothing else counts.

The compiled parts can not be loaded out of a zip file, so what this Python needs is unpacked once.
"""

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Protocol

from single_file.place import Refused, unpacked
from single_file.refusal import refuse

PYTHONS_NAME = "contents/pythons"
"""In the zip file: the key of the contents, the least glibc, the versions of Python, with blanks between."""

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class Loader(Protocol):
    """Reads from the zip file: zipimport.zipimporter."""

    def get_data(self, path: str) -> bytes:
        """Give the content of a member."""
        ...


def start(file: str, loader: Loader) -> None:
    """Make the program's own packages importable, and nothing but these and Python's own."""
    key, glibc, *pythons = loader.get_data(f"{file}/{PYTHONS_NAME}").decode().split()
    require_python(pythons)
    require_glibc(glibc)
    try:
        home = unpacked(f"{key}-{_PYTHON}", lambda: _archives(file, loader))
    except Refused as error:
        refuse(error.message, error.detail, error.hint)
    else:
        sys.path[:] = [str(home), *(entry for entry in sys.path if entry != file)]


def _archives(file: str, loader: Loader) -> list[bytes]:
    names = ("agent", "dependencies", _PYTHON)
    return [loader.get_data(f"{file}/contents/{name}.tar.xz") for name in names]


def require_python(pythons: list[str], *, suffix: str = EXTENSION_SUFFIXES[0], python: str = _PYTHON) -> None:
    """Refuse to start where the compiled parts were made for other Pythons; PEP 3149 has the ``suffix``."""
    if suffix == f".cpython-{python.replace('.', '')}-x86_64-linux-gnu.so" and python in pythons:
        return
    offered = f"Python {pythons[0]} to {pythons[-1]} (CPython) on x86_64 with glibc"
    if "musl" in suffix:
        what = "This Python was made for musl (Alpine Linux is), which they do not run with."
    elif python not in pythons:
        what = f"This is Python {python} ({sys.executable})."
    else:
        what = f"This Python ({sys.executable}) loads compiled parts of another kind: {suffix}"
    refuse(
        "The single file does not run with this Python.",
        f"Its compiled parts are for {offered}. {what}",
        "Use such a Python or rescue system, or install byoi-agent from its sources with pip.",
    )


def require_glibc(least: str) -> None:
    """Refuse to start with a C library that the compiled parts do not run with."""
    try:
        found = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):  # another C library does not know the name
        found = ""
    name, _, version = found.partition(" ")
    if name != "glibc" or _numbers(version) < _numbers(least):
        refuse(
            "The single file does not run on this system.",
            f"Its compiled parts need glibc {least} or newer; here is {found or 'another C library'}.",
            "Boot a newer rescue system, such as Debian 12, or install byoi-agent from its sources with pip.",
        )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]
