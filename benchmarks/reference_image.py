"""The image that is deployed: the test bed's Debian, made larger and filled with data, in each form."""

import hashlib
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter
from testbed.cache import Cache, content_key
from testbed.command import run
from testbed.image_recipe import GENERIC
from testbed.sample_image import sample_image

from benchmarks import image_padding
from benchmarks.image_padding import CLUSTER, ZEROS, pad

DATA_SHARE = 0.4
"""Of the image, what is data; in the smallest the system alone is a little more."""
_BASE = replace(GENERIC, name="benchmark-base", size_mib=1024)
_BASE_SIZE = _BASE.size_mib << 20
_DATA_PARTITION = "2"
_SAMPLES = 256
_NO_LIMIT = 7200.0


class Form(StrEnum):
    """How the image is packed; the value is the file's name."""

    ZLIB = "zlib.qcow2"
    ZSTD = "zstd.qcow2"
    RAW_ZSTD = "disk.raw.zst"

    @property
    def label(self) -> str:
        """How a table names it."""
        return _LABELS[self]


_LABELS = {Form.ZLIB: "qcow2, zlib", Form.ZSTD: "qcow2, zstd", Form.RAW_ZSTD: "raw.zst"}


@dataclass(frozen=True, kw_only=True)
class Packed:
    """The image in one form; the size of the file in bytes."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of the image; sizes in bytes."""

    virtual_size: int
    allocated: int
    """What is not a hole, in whole clusters of 64 KiB."""
    forms: dict[Form, Packed]
    samples: list[tuple[int, str]]
    """Offsets of some clusters and their sha256, by which the disk is looked at afterwards."""


@dataclass(frozen=True, kw_only=True)
class ReferenceImage:
    """The image in the cache."""

    directory: Path
    facts: Facts

    def path(self, form: Form) -> Path:
        """The file of one form."""
        return self.directory / form

    @property
    def block_map(self) -> Path:
        """Which blocks of the raw image are data, for bmaptool."""
        return self.directory / "disk.bmap"

    def is_on(self, disk: Path) -> bool:
        """Whether the sampled clusters are on ``disk`` as they are in the image."""
        file = os.open(disk, os.O_RDONLY)
        try:
            return _digests(file, [offset for offset, _ in self.facts.samples]) == self.facts.samples
        finally:
            os.close(file)


def reference_image(size_gib: int, forms: tuple[Form, ...] = tuple(Form)) -> ReferenceImage:
    """Build what is not in the cache yet: minutes for each form of a large image."""
    base = sample_image(_BASE).qcow2.path
    recipe = (Path(__file__), Path(image_padding.__file__))
    key = content_key(base.parent.name, str(size_gib), ",".join(forms), *recipe)
    build = partial(_build, base=base, size=size_gib << 30, forms=forms)
    directory = Cache().get_or_build(f"benchmark-{size_gib}g", key, build)
    facts = TypeAdapter(Facts).validate_json((directory / "facts.json").read_bytes())
    return ReferenceImage(directory=directory, facts=facts)


def _build(target: Path, *, base: Path, size: int, forms: tuple[Form, ...]) -> None:
    disk = target / "disk.raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", base, disk)
    if size > _BASE_SIZE:
        _enlarge(disk, size)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda form: _PACKERS[form](disk, target / form), forms))
    facts = Facts(
        virtual_size=size,
        allocated=_allocated(disk),
        forms={form: _packed(target / form) for form in forms},
        samples=_samples(disk, size),
    )
    (target / "facts.json").write_bytes(TypeAdapter(Facts).dump_json(facts, indent=1))
    disk.unlink()


def _enlarge(disk: Path, size: int) -> None:
    with disk.open("r+b") as file:
        file.truncate(size)
    run("sgdisk", "--move-second-header", disk)
    number = _DATA_PARTITION
    run("sgdisk", f"--new={number}:0:0", f"--partition-guid={number}:{_BASE.identity('data')}", disk)
    length = int(size * DATA_SHARE) - _allocated(disk)
    pad(disk, start=_BASE_SIZE, end=size - (1 << 20), length=length // CLUSTER * CLUSTER)


def _allocated(disk: Path) -> int:
    """Bytes in clusters that are not all zero."""
    total = 0
    file = os.open(disk, os.O_RDONLY)
    try:
        size, start = os.fstat(file).st_size, 0
        while start < size:
            try:
                start = os.lseek(file, start, os.SEEK_DATA) // CLUSTER * CLUSTER
            except OSError:
                break
            total += CLUSTER if os.pread(file, CLUSTER, start) != ZEROS else 0
            start += CLUSTER
    finally:
        os.close(file)
    return total


def _pack_qcow2(compression: str, disk: Path, packed: Path) -> None:
    # In order, one cluster after the other, as most images are published.
    options = f"compression_type={compression}"
    command = ("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, disk, packed)
    run(*command, timeout=_NO_LIMIT)


def _pack_raw(disk: Path, packed: Path) -> None:
    run("zstd", "--quiet", "--threads=2", disk, "-o", packed, timeout=_NO_LIMIT)
    run("bmaptool", "create", "--output", packed.with_name("disk.bmap"), disk, timeout=_NO_LIMIT)


_PACKERS: dict[Form, Callable[[Path, Path], None]] = {
    Form.ZLIB: partial(_pack_qcow2, "zlib"),
    Form.ZSTD: partial(_pack_qcow2, "zstd"),
    Form.RAW_ZSTD: _pack_raw,
}


def _packed(path: Path) -> Packed:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Packed(size=path.stat().st_size, sha256=digest)


def _samples(disk: Path, size: int) -> list[tuple[int, str]]:
    # Without the ends: a deployment moves the backup GPT, and the primary one names its place.
    offsets = random.Random(2).sample(range(1 << 20, size - (1 << 20), CLUSTER), _SAMPLES)
    file = os.open(disk, os.O_RDONLY)
    try:
        return _digests(file, offsets)
    finally:
        os.close(file)


def _digests(file: int, offsets: list[int]) -> list[tuple[int, str]]:
    return [(offset, hashlib.sha256(os.pread(file, CLUSTER, offset)).hexdigest()) for offset in offsets]
