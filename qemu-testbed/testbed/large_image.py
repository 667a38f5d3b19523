"""The tiny image with a partition full of data behind it: a large download, which boots in seconds.

Every cluster of the data is half random and half of one byte, so that packing halves it, as it does what is
on most disks. Nothing of it is kept in the cache: it is larger than all that is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .command import run
from .image_file import ImageFile, note_sum, noted_sum

_CLUSTER = 64 << 10
_BLOCK_CLUSTERS = 1024
_START = 128 << 20
_PATIENCE = 1200.0


@dataclass(frozen=True, kw_only=True)
class LargeImage:
    """The image as it is downloaded, and as it has to be on the disk."""

    qcow2: ImageFile
    raw: Path


def large_image(tiny: ImageFile, directory: Path, *, size: int, data: int) -> LargeImage:
    """Make an image of `size` bytes with `data` bytes of data, all in compressed clusters (zstd)."""
    raw = directory / "large.raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", tiny.path, raw)
    with raw.open("r+b") as disk:
        disk.truncate(size)
    run("sgdisk", "--move-second-header", f"--new=2:{_START // 512}:0", raw)
    _fill(raw, data)
    qcow2 = directory / "large.qcow2"
    options = ("-c", "-W", "-f", "raw", "-O", "qcow2", "-o", "compression_type=zstd")
    run("qemu-img", "convert", *options, raw, qcow2, timeout=_PATIENCE)
    note_sum(qcow2)
    file = ImageFile(path=qcow2, type="qcow2", sha256=noted_sum(qcow2), virtual_size=size)
    return LargeImage(qcow2=file, raw=raw)


def _fill(raw: Path, data: int) -> None:
    half = _CLUSTER // 2
    block = b"".join(os.urandom(half) + bytes([number % 256]) * half for number in range(_BLOCK_CLUSTERS))
    with raw.open("r+b") as disk:
        disk.seek(_START)
        for _ in range(data // len(block)):
            disk.write(block)
