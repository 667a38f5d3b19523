"""An image file, with what a deployment request says of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """An image in one format; `virtual_size` is the size in bytes of the disk that it holds."""

    path: Path
    type: str
    sha256: str
    virtual_size: int


def described(directory: Path, name: str, type_: str, virtual_size: int) -> ImageFile:
    """The image `name` in a cache entry, with the sum that `note_sum` left beside it."""
    path = directory / f"{name}.{type_}"
    return ImageFile(path=path, type=type_, sha256=noted_sum(path), virtual_size=virtual_size)


def note_sum(path: Path) -> None:
    """Write the image's sha256 beside it, as sha256sum would."""
    with path.open("rb") as image:
        digest = hashlib.file_digest(image, "sha256").hexdigest()
    path.with_name(f"{path.name}.sha256").write_text(f"{digest}  {path.name}\n", encoding="ascii")


def noted_sum(path: Path) -> str:
    """The sha256 that `note_sum` wrote beside the image."""
    return path.with_name(f"{path.name}.sha256").read_text(encoding="ascii").split()[0]
