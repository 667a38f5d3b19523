"""Calls of qemu-img: always with the format given, with limits on memory and time, never with a name.

Images and disks are handed over as open file descriptors, so that no file name from outside, and none
from inside an image, is ever looked up.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from partitioning.command import Completed, Limits, require, run

MEMORY_LIMIT = 2 << 30
"""Address space in bytes that qemu-img may use: 1 GiB was not enough in the field, 2 GiB is."""

_QUICK = Limits(address_space=MEMORY_LIMIT, cpu_seconds=60)
_LONG = Limits(address_space=MEMORY_LIMIT)
_QUICK_TIMEOUT = 120.0
_LONG_TIMEOUT = 24 * 3600.0
# It prints once a per cent; a per cent of a large disk at 10 MB/s takes minutes.
_SILENCE = 1800.0

_PERCENT = re.compile(rb"\(\s*([0-9.]+)/100%\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An image as qemu-img reads it: its format, the descriptor it is open on, and a range of it (bytes)."""

    format: str
    fd: int
    offset: int
    length: int

    def options(self) -> str:
        """Give the text for ``--image-opts``: a window (raw with offset and size) over the format."""
        window = f"driver=raw,offset={self.offset},size={self.length}"
        file = f"driver=file,filename=/proc/self/fd/{self.fd},locking=off"
        if self.format == "raw":
            return f"{window},{_under('file', file)}"
        return f"{window},file.driver={self.format},{_under('file.file', file)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where qemu-img writes: an open descriptor, and a range of it (bytes)."""

    fd: int
    is_block_device: bool
    offset: int
    length: int

    def options(self) -> str:
        """Give the text for ``--target-image-opts``."""
        driver = "host_device" if self.is_block_device else "file"
        file = f"driver={driver},filename=/proc/self/fd/{self.fd},locking=off"
        return f"driver=raw,offset={self.offset},size={self.length},{_under('file', file)}"


def require_tools() -> None:
    """Make sure that the tools for qcow2 images, and for disks, are there. Raises CommandMissing."""
    for tool in ("qemu-img", "prlimit"):
        require(
            tool, "It is needed to read images and to write them to the disk; nothing was downloaded yet."
        )


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


def read_range(source: Source, into_fd: int) -> None:
    """Copy a range of an image into the file on ``into_fd``, which is as long as the range and all zero."""
    target = Target(fd=into_fd, is_block_device=False, offset=0, length=source.length)
    argv = ["qemu-img", "convert", "-n", "--target-is-zero", "--image-opts", source.options()]
    argv += ["--target-image-opts", target.options()]
    run(argv, timeout=_QUICK_TIMEOUT, limits=_QUICK, pass_fds=[source.fd, into_fd])


def write_range(source: Source, target: Target, on_progress: Callable[[int], None]) -> None:
    """Write a range of an image to a range of a disk; what reads as zero is zero on the disk afterwards.

    ``on_progress`` gets the bytes of the range that are done. The data may still be in the kernel's cache
    at the end: flush the disk.
    """
    # Not --target-is-zero: on a disk that is not zero it leaves old data behind.
    argv = ["qemu-img", "convert", "-p", "-n", "-t", "writeback", "--image-opts", source.options()]
    argv += ["--target-image-opts", target.options()]
    _run_long(argv, source, target, on_progress, ok_codes=(0,))


def same(source: Source, target: Target, on_progress: Callable[[int], None]) -> bool:
    """Tell whether a range of a disk holds what the range of the image holds."""
    argv = ["qemu-img", "compare", "-p", "--image-opts", source.options(), target.options()]
    return _run_long(argv, source, target, on_progress, ok_codes=(0, 1)).code == 0


def _run_long(
    argv: list[str],
    source: Source,
    target: Target,
    on_progress: Callable[[int], None],
    ok_codes: tuple[int, ...],
) -> Completed:
    def take(piece: bytes) -> None:
        percents = _PERCENT.findall(piece)
        if percents:
            on_progress(int(float(percents[-1]) / 100 * source.length))

    return run(
        argv,
        timeout=_LONG_TIMEOUT,
        silence=_SILENCE,
        limits=_LONG,
        pass_fds=[source.fd, target.fd],
        on_stdout=take,
        ok_codes=ok_codes,
    )


def _under(prefix: str, options: str) -> str:
    return ",".join(f"{prefix}.{option}" for option in options.split(","))
