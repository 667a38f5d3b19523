"""The loader that is added: a shim and a GRUB that are signed, as this rescue system has them.

They boot with and without Secure Boot, so that it can be switched on later. A distribution's signed GRUB has
all drivers built in (file systems, LVM, md) and takes its configuration from one fixed place on the file
system that it was started from: \\EFI\\debian\\grub.cfg for Debian's.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.errors import Refused
from partitioning.package_manager import how_to_install
from partitioning.uefi.names import BOOT_DIRECTORY, fallback_path, suffix

OWN_DIRECTORY = "EFI/byoi-agent"
OTHER_DIRECTORY_VARIABLE = "BYOI_AGENT_LOADERS"
"""Names a directory with these files under their plain names, for rescue systems that have them elsewhere."""

_GRUB_DIRECTORIES = {"x64": "x86_64-efi-signed", "aa64": "arm64-efi-signed"}
_GRUB_PACKAGES = {"x64": "grub-efi-amd64-signed", "aa64": "grub-efi-arm64-signed"}
_PREFIX = re.compile(rb"/(EFI/[A-Za-z0-9_-]{1,32})\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderFiles:
    """Shim, GRUB and key manager, and where that GRUB looks for its configuration."""

    shim: bytes
    grub: bytes
    manager: bytes
    config_path: str

    def on_esp(self, config: bytes) -> Mapping[str, bytes]:
        """Give the files of an EFI system partition, by path; ``config`` is GRUB's configuration."""
        companions = {f"grub{suffix()}.efi": self.grub, f"mm{suffix()}.efi": self.manager}
        return {
            fallback_path(): self.shim,
            own_loader(): self.shim,
            **{f"{where}/{name}": companions[name] for where in _PLACES for name in companions},
            self.config_path: config,
        }


_PLACES = (BOOT_DIRECTORY, OWN_DIRECTORY)


def own_loader() -> str:
    """Give the path that the boot entry points to; the fallback path has the same file."""
    return f"{OWN_DIRECTORY}/shim{suffix()}.efi"


class _Part(StrEnum):
    """What the loader consists of. With the key manager keys can be enrolled; the shim starts it."""

    SHIM = "shim"
    GRUB = "grub"
    MANAGER = "mm"


def missing_loader_packages() -> set[str]:
    """Give the packages that bring what is not there."""
    return {_package(part) for part in _Part if _find(part) is None}


def read_loader_files() -> LoaderFiles:
    """Read the files from this system. Raises Refused where they are not all there."""
    grub = _read(_Part.GRUB)
    return LoaderFiles(
        shim=_read(_Part.SHIM), grub=grub, manager=_read(_Part.MANAGER), config_path=_config_path(grub)
    )


def _package(part: _Part) -> str:
    return _GRUB_PACKAGES[suffix()] if part is _Part.GRUB else "shim-signed"


def _find(part: _Part) -> Path | None:
    name = f"{part}{suffix()}.efi"
    if other := os.environ.get(OTHER_DIRECTORY_VARIABLE):
        candidates = [Path(other) / name]
    else:
        grub = Path("/usr/lib/grub") / _GRUB_DIRECTORIES[suffix()]
        directory = grub if part is _Part.GRUB else Path("/usr/lib/shim")
        candidates = [directory / f"{name}.signed", directory / name]
    return next((path for path in candidates if path.is_file()), None)


def _read(part: _Part) -> bytes:
    path = _find(part)
    if path is None:
        raise Refused(
            "The loader that would be added to the image is missing here.",
            detail=f"There is no {part}{suffix()}.efi on this system.",
            hint=_hint(part),
        )
    return path.read_bytes()


def _config_path(grub: bytes) -> str:
    found = _PREFIX.search(grub)
    if found is None:
        raise Refused(
            "The loader that would be added to the image can not be used.",
            detail="It can not be told where this GRUB looks for its configuration: it is no distribution's"
            " signed one.",
            hint=_hint(_Part.GRUB),
        )
    return f"{found[1].decode('ascii')}/grub.cfg"


def _hint(part: _Part) -> str:
    return f"Use an image made for UEFI, or {how_to_install([], debian_packages=[_package(part)])}"
