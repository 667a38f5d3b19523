"""The rescue system on a medium: an ISO that any firmware starts, from a CD (virtual media) or a stick.

Its loaders stand under Secure Boot: Debian's shim, GRUB and kernel are signed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from .command import run
from .iso_loaders import EL_TORITO, ESP, HYBRID_MBR
from .rescue import RescueFiles

VOLUME = "BYOI_RESCUE"
_GRUB_DIRECTORY = "boot/grub"
# UEFI firmware brings its console to the serial line itself. Where there is none, the screen has to do.
_MENU = """\
if [ "$grub_platform" = pc ]; then
    if serial --unit=0 --speed=115200; then
        terminal_input console serial
        terminal_output console serial
    fi
fi
set timeout=3
menuentry "Rescue system" {{
    echo "Loading the rescue system ..."
    linux /kernel {command_line}
    initrd /initrd.img
}}
"""


def build_iso(files: RescueFiles, command_line: str, target: Path) -> None:
    """Write the ISO to `target`; it gives the kernel `command_line`."""
    with tempfile.TemporaryDirectory(prefix=".iso-", dir=target.parent) as name:
        tree = Path(name)
        _lay_out(files, command_line, tree)
        run(
            *("xorriso", "-as", "mkisofs", "-quiet", "-r", "-J", "-V", VOLUME, "-o", target),
            *("-b", f"{_GRUB_DIRECTORY}/{EL_TORITO}", "-no-emul-boot", "-boot-load-size", "4"),
            *("-boot-info-table", "--grub2-boot-info", "--grub2-mbr", files.loaders / HYBRID_MBR),
            *("--efi-boot", ESP, "-efi-boot-part", "--efi-boot-image", "--protective-msdos-label"),
            tree,
        )


def _lay_out(files: RescueFiles, command_line: str, tree: Path) -> None:
    grub = tree / _GRUB_DIRECTORY
    grub.mkdir(parents=True)
    shutil.copyfile(files.loaders / EL_TORITO, grub / EL_TORITO)
    shutil.copyfile(files.loaders / ESP, tree / ESP)
    (grub / "grub.cfg").write_text(_MENU.format(command_line=_quoted(command_line)), encoding="utf-8")
    (tree / ".disk").mkdir()
    (tree / ".disk/info").write_text(f"{VOLUME}\n", encoding="ascii")
    _link(files.kernel, tree / "kernel")
    _link(files.initrd, tree / "initrd.img")


def _quoted(command_line: str) -> str:
    """Write words so that GRUB's shell takes them as they are: & and ; in a URL would be its own."""
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in command_line.split())


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
