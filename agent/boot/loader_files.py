"""The loader that is added: a shim and a GRUB that are signed, as this rescue system has them.

They boot with and without Secure Boot, so that it can be switched on later. A distribution's signed GRUB has
all drivers built in (file systems, LVM, md) and takes its configuration from one fixed place on the file
system that it was started from: \\EFI\\debian\\grub.cfg for Debian's.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.errors import Refused
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


def read_loader_files() -> LoaderFiles:
    """Read the files from this system. Raises Refused where they are not all there."""
    end = suffix()
    shim = Path("/usr/lib/shim")
    signed_grub = Path("/usr/lib/grub") / _GRUB_DIRECTORIES[end]
    grub = _read(signed_grub, f"grub{end}.efi", package=_GRUB_PACKAGES[end])
    return LoaderFiles(
        shim=_read(shim, f"shim{end}.efi", package="shim-signed"),
        grub=grub,
        # With it keys can be enrolled; the shim starts it where something is not signed.
        manager=_read(shim, f"mm{end}.efi", package="shim-signed"),
        config_path=_config_path(grub),
    )


def _read(directory: Path, name: str, *, package: str) -> bytes:
    other = os.environ.get(OTHER_DIRECTORY_VARIABLE)
    candidates = [Path(other) / name] if other else [directory / f"{name}.signed", directory / name]
    for path in candidates:
        if path.is_file():
            return path.read_bytes()
    raise Refused(
        "The loader that would be added to the image is missing here.",
        detail=f"{candidates[0]} does not exist on this system.",
        hint=f"Install the package {package} on the rescue system, or use an image made for UEFI.",
    )


def _config_path(grub: bytes) -> str:
    found = _PREFIX.search(grub)
    if found is None:
        raise Refused(
            "The loader that would be added to the image can not be used.",
            detail="It can not be told where this GRUB looks for its configuration: it is no distribution's"
            " signed one.",
            hint=f"Install {_GRUB_PACKAGES[suffix()]} on the rescue system, or use an image made for UEFI.",
        )
    return f"{found[1].decode('ascii')}/grub.cfg"
