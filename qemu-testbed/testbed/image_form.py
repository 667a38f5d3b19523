"""The forms in which images are published, and how each is made of a qcow2."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from .command import run
from .image_file import ImageFile, note_sum, noted_sum
from .ova_file import ova_of


class Form(StrEnum):
    """A form; of a raw image that is packed, the value is what comes behind the name of its file."""

    QCOW2 = "qcow2"
    OVA = "ova"
    RAW_GZIP = "raw.gz"
    RAW_XZ = "raw.xz"
    RAW_ZSTD = "raw.zst"
    RAW_BZIP2 = "raw.bz2"


_PATIENCE = 600.0
"""Seconds that packing may take."""
_PACKERS = {
    Form.RAW_GZIP: ("gzip", "--fast"),
    Form.RAW_XZ: ("xz", "-1", "--threads=2"),
    Form.RAW_ZSTD: ("zstd", "--quiet", "--threads=2", "--rm"),
    Form.RAW_BZIP2: ("bzip2",),
}


def published(image: ImageFile, form: Form, directory: Path) -> ImageFile:
    """Give a qcow2 image in another form: a file in `directory`, or the image itself."""
    if form is Form.QCOW2:
        return image
    if form is Form.OVA:
        return ova_of(image, directory)
    raw = directory / f"{image.path.stem}.raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image.path, raw)
    run(*_PACKERS[form], raw, timeout=_PATIENCE)
    path = directory / f"{image.path.stem}.{form}"
    note_sum(path)
    return ImageFile(path=path, type="raw", sha256=noted_sum(path), virtual_size=image.virtual_size)
