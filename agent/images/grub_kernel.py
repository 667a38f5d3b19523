"""The kernel that the first entry of a GRUB menu starts, as far as that can be told without running GRUB."""

import re

from agent.images.grub_look import GrubMenu, file_in
from partitioning.command import CommandError

MOST_BYTES = 64 << 20
_COMMAND = r"^[ \t]*linux(?:16|efi)?[ \t]+(?:\(\$\{?root\}?\))?"
_LINUX = re.compile(_COMMAND + r"(/[^\s$()'\"{};]{1,200})", re.MULTILINE)


def kernel_path(menu: GrubMenu) -> str | None:
    """Give the path of the first entry's kernel on the file system that holds the menu."""
    found = _LINUX.search(menu.text)
    return found[1] if found else None


def read_kernel(fd: int, menu: GrubMenu) -> tuple[str, bytes] | None:
    """Give path and content of that kernel from the raw image open on ``fd``; None where it is not found."""
    path = kernel_path(menu)
    if path is None:
        return None
    try:
        return path, file_in(fd, menu.file_system, path, most=MOST_BYTES)
    except CommandError:
        return None
