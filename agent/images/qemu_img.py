"""Calls of qemu-img: always with the format given, with limits on memory and time, never with a name.

It checks what only it can: reference counts. Reading is our own code's. Images are handed over as open file
descriptors, so that no file name from outside, and none from inside an image, is ever looked up.
"""

import json
from typing import Any

from partitioning.command import Limits, require, run

MEMORY_LIMIT = 2 << 30
"""Address space in bytes that qemu-img may use: 1 GiB was not enough in the field, 2 GiB is."""

_QUICK = Limits(address_space=MEMORY_LIMIT, cpu_seconds=60)
_QUICK_TIMEOUT = 120.0


def require_tools(format_name: str) -> None:
    """Make sure that the tools for an image of this format are there. Raises CommandMissing."""
    if format_name == "qcow2":
        for tool in ("qemu-img", "prlimit"):
            require(tool, "It is needed to check qcow2 images; nothing was downloaded yet.")


def info(format_name: str, fd: int) -> dict[str, Any]:
    """Return what ``qemu-img info`` says of the image that is open on ``fd``."""
    argv = ["qemu-img", "info", "--output=json", "-f", format_name, f"/proc/self/fd/{fd}"]
    completed = run(argv, timeout=_QUICK_TIMEOUT, limits=_QUICK, pass_fds=[fd])
    value: dict[str, Any] = json.loads(completed.stdout)
    return value


def check(format_name: str, fd: int) -> dict[str, Any]:
    """Return what ``qemu-img check`` says of the image's own tables; it changes nothing."""
    argv = ["qemu-img", "check", "--output=json", "-U", "-f", format_name, f"/proc/self/fd/{fd}"]
    completed = run(argv, timeout=_QUICK_TIMEOUT, limits=_QUICK, pass_fds=[fd], ok_codes=(0, 2, 3))
    value: dict[str, Any] = json.loads(completed.stdout)
    return value
