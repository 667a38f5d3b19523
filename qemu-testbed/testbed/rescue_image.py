"""The rescue system as files to ship: kernel, initramfs, an ISO, and an iPXE script as an example."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from .errors import TestbedError
from .image_recipe import FULL_KERNEL
from .rescue import COMMAND_LINE, rescue_files
from .rescue_iso import build_iso
from .site_layer import Site

KERNEL, INITRD, ISO, SCRIPT, SUMS = "kernel", "initrd.img", "byoi-rescue.iso", "boot.ipxe", "SHA256SUMS"
_SCRIPT = """\
#!ipxe
# Starts the rescue system from the directory that this script came from. What iPXE knows of the server
# can stand in the parameters: ${{net0/mac}}, ${{serial}}, ${{uuid}}, as in byoi.request=http://…/${{serial}}
kernel {kernel} initrd={initrd} {command_line}
initrd --name {initrd} {initrd}
boot
"""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the person who builds it wants of it."""

    site: Site
    parameters: str = ""
    """Words for the kernel's command line, such as byoi.request=URL."""
    kernel_package: str = FULL_KERNEL
    more_packages: tuple[str, ...] = ()
    """Debian packages, such as a network card's firmware."""


def build_rescue_image(checkout: Path, target: Path, wishes: Wishes) -> None:
    """Fill the directory `target`, in which files of these names are replaced."""
    files = rescue_files(
        checkout, wishes.site, kernel_package=wishes.kernel_package, more_packages=wishes.more_packages
    )
    target.mkdir(parents=True, exist_ok=True)
    command_line = f"{COMMAND_LINE} {wishes.parameters}".strip()
    shutil.copyfile(files.kernel, target / KERNEL)
    shutil.copyfile(files.initrd, target / INITRD)
    write_script(target / SCRIPT, command_line)
    build_iso(files, command_line, target / ISO)
    sums = (f"{_sha256(target / name)}  {name}\n" for name in (KERNEL, INITRD, ISO, SCRIPT))
    (target / SUMS).write_text("".join(sums), encoding="ascii")


def write_script(path: Path, command_line: str) -> None:
    """Write the iPXE script; it asks for both files where it came from itself."""
    path.write_text(_SCRIPT.format(kernel=KERNEL, initrd=INITRD, command_line=command_line), encoding="utf-8")


def read_keys(paths: list[Path]) -> tuple[str, ...]:
    """Read public keys, a line each, as ssh-keygen and authorized_keys have them."""
    lines = [line.strip() for path in paths for line in _text(path).splitlines()]
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if any("PRIVATE KEY" in key for key in keys):
        raise TestbedError("that is a private key", hint="Give the public one; its file ends in .pub.")
    return keys


def read_disk_groups(path: Path | None) -> str:
    """Read the file that pins disk groups; what is wrong with it is the agent's to say."""
    return "" if path is None else _text(path)


def described(target: Path) -> list[str]:
    """What was built, a line each: sizes in MB."""
    return [f"{name:16} {(target / name).stat().st_size / 1e6:7.1f} MB" for name in (KERNEL, INITRD, ISO)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TestbedError(f"{path} can not be read: {error}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
