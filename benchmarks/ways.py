"""The ways to put an image onto a disk that are compared, each as the command that is run."""

import shlex
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from benchmarks.ironic import ironic_command
from benchmarks.reference_image import Form, ReferenceImage

DD_SOURCE_SIZE = 256 << 20
"""Bytes of the file that dd writes again and again."""
_DD_BLOCK = 4 << 20


class Link(StrEnum):
    """How the image comes."""

    LIMITED = "limited"
    UNLIMITED = "unlimited"
    NONE = "none"
    """No download: a local file, or no image at all."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What the commands are about."""

    image: ReferenceImage
    disk: Path
    servers: dict[Link, str]
    """The URL that the images are below."""
    ram: Path
    """A folder in memory, empty at the beginning of each run."""
    dd_source: Path
    """Random bytes, DD_SOURCE_SIZE of them, in memory."""
    ironic_python: Path


@dataclass(frozen=True, kw_only=True)
class Source:
    """One form of the image, over one link."""

    form: Form
    link: Link

    def url(self, place: Place) -> str:
        """Where to download it."""
        return f"{place.servers[self.link]}{self.form}"

    def sha256(self, place: Place) -> str:
        """The sum of the file."""
        return place.image.facts.forms[self.form].sha256


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way: its command, and what is on the disk afterwards."""

    key: str
    title: str
    form: Form | None
    link: Link
    command: Callable[[Place], list[str]]
    writes: bool = True
    whole: bool = True
    """Whether all of the image is on the disk afterwards, its holes too."""


def _download(source: Source, place: Place) -> list[str]:
    return ["curl", "--silent", "--show-error", "--fail", "--output", "/dev/null", source.url(place)]


def _dd(place: Place) -> list[str]:
    blocks, start = -(-place.image.facts.allocated // _DD_BLOCK), 0
    steps = []
    while start < blocks:
        count = min(blocks - start, DD_SOURCE_SIZE // _DD_BLOCK)
        last = start + count == blocks
        options = f"bs=4M count={count} seek={start} status=none" + (" conv=fsync" if last else "")
        steps.append(f"dd if={place.dd_source} of={place.disk} {options}")
        start += count
    return ["sh", "-c", " && ".join(steps)]


def _convert_command(file: Path, disk: Path) -> str:
    return shlex.join(["qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", str(file), str(disk)])


def _convert(source: Source, place: Place) -> list[str]:
    return ["sh", "-c", _convert_command(place.image.path(source.form), place.disk)]


def _ram_convert(source: Source, place: Place) -> list[str]:
    file = place.ram / "image"
    download = shlex.join(["curl", "-sSf", "-o", str(file), source.url(place)])
    return ["sh", "-c", f"{download} && {_convert_command(file, place.disk)}"]


def _ironic(source: Source, place: Place) -> list[str]:
    return ironic_command(
        place.ironic_python, url=source.url(place), sha256=source.sha256(place), disk=place.disk
    )


def _bmaptool(source: Source, place: Place) -> list[str]:
    return ["bmaptool", "copy", "--bmap", str(place.image.block_map), source.url(place), str(place.disk)]


def _agent(source: Source, options: tuple[str, ...], place: Place) -> list[str]:
    image_type = "raw" if source.form is Form.RAW_ZSTD else "qcow2"
    command = [sys.executable, "-m", "agent", "deploy", "--url", source.url(place), "--type", image_type]
    command += ["--check-sum", source.sha256(place), "--check-sum-type", "sha256"]
    return [*command, "--disk", str(place.disk), "--hostname", "measured", "--yes", *options]


_TITLES: dict[str, tuple[str, Callable[[Source, Place], list[str]]]] = {
    "download": ("download alone (curl)", _download),
    "convert": ("`qemu-img convert` alone, local file", _convert),
    "ram-convert": ("curl into RAM, then `qemu-img convert`", _ram_convert),
    "ironic": ("ironic-python-agent", _ironic),
    "bmaptool": ("bmaptool", _bmaptool),
}
_MODES: dict[str, tuple[str, ...]] = {
    "stream": ("--staging", "stream"),
    "memory": ("--staging", "memory"),
    "stream-verify": ("--staging", "stream", "--verify"),
    "memory-verify": ("--staging", "memory", "--verify"),
}
_DD = Way(
    key="dd",
    title="`dd` of as much data as the image has",
    form=None,
    link=Link.NONE,
    command=_dd,
    whole=False,
)


def key_of(kind: str, form: Form, link: Link) -> str:
    """The name of a way in the results."""
    return f"{kind}/{form.name.lower()}/{link}"


def _way(kind: str, form: Form, link: Link) -> Way:
    source = Source(form=form, link=link)
    if kind in _MODES:
        title = "byoi-agent " + " ".join(_MODES[kind])
        command = partial(_agent, source, _MODES[kind])
    else:
        title, build = _TITLES[kind]
        command = partial(build, source)
    return Way(
        key=key_of(kind, form, link),
        title=title,
        form=form,
        link=link,
        command=command,
        writes=kind != "download",
        # bmaptool leaves what was on the disk where the image has a hole.
        whole=kind not in ("download", "bmaptool"),
    )


def _each(kinds: Iterable[str], forms: Iterable[Form], link: Link) -> list[Way]:
    return [_way(kind, form, link) for kind in kinds for form in forms]


_QCOW2 = (Form.ZLIB, Form.ZSTD)


def all_ways() -> list[Way]:
    """Every way; those that are compared most closely come one after the other."""
    return [
        _DD,
        *_each(("ironic", "ram-convert", "memory", "download", "stream"), _QCOW2, Link.LIMITED),
        *_each(("stream-verify", "memory-verify"), (Form.ZLIB,), Link.LIMITED),
        *_each(("bmaptool", "download", "stream", "memory"), (Form.RAW_ZSTD,), Link.LIMITED),
        *(way for form in _QCOW2 for way in _without_limit(form)),
    ]


def _without_limit(form: Form) -> list[Way]:
    return [_way("convert", form, Link.NONE), *_each(("stream", "memory"), (form,), Link.UNLIMITED)]


def growth_ways() -> list[Way]:
    """Those by which to see how time and memory grow with the image."""
    kinds = ("download", "ironic", "ram-convert", "memory", "stream")
    return [*_each(kinds, (Form.ZLIB,), Link.LIMITED), *_without_limit(Form.ZLIB)]
