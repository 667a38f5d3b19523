"""A deployed disk before its first boot, judged by tools that others wrote: table, FATs, contents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .command import run
from .errors import TestbedError

_ESP_TYPES = ("c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "ef")


@dataclass(frozen=True, kw_only=True)
class JudgedPartition:
    """A partition as sfdisk sees it; start and size in bytes. `guid` is None on an MBR."""

    number: int
    start: int
    size: int
    type: str
    guid: str | None

    @property
    def is_esp(self) -> bool:
        """Whether it is an EFI system partition."""
        return self.type in _ESP_TYPES


def judge(disk: Path, *, logical_sector: int, image: Path, image_sector: int) -> None:
    """Raise TestbedError for whatever is wrong with a disk that `image` (raw) was deployed to.

    sgdisk -v and fsck.fat -n find nothing; every partition of the image is there with its number, type, GUID,
    start and contents. A FAT may have been made anew: its label and volume number then are the same.
    """
    with _as_device(disk, logical_sector) as device:
        found = {part.number: part for part in _partitions(device, logical_sector)}
        if any(part.guid for part in found.values()):
            said = run("sgdisk", "-v", device).decode()
            _require("No problems found" in said, f"sgdisk -v: {said}")
    for part in found.values():
        if part.is_esp:
            _check_fat(disk, part)
    with _as_device(image, image_sector) as device:
        wanted = _partitions(device, image_sector)
    for part in wanted:
        _require(part.number in found, f"partition {part.number} of the image is gone")
        _compare(image, disk, part, found[part.number])


@contextmanager
def _as_device(disk: Path, sector: int) -> Iterator[Path]:
    """A loop device, read-only: a file as such always has sectors of 512 bytes."""
    options = ("--find", "--show", "--read-only", "--sector-size", str(sector))
    device = Path(run("losetup", *options, disk).decode().strip())
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


def _partitions(device: Path, sector: int) -> list[JudgedPartition]:
    table = json.loads(run("sfdisk", "--json", device))["partitiontable"]
    return [_partition(entry, device, sector) for entry in table["partitions"]]


def _partition(entry: dict[str, Any], device: Path, sector: int) -> JudgedPartition:
    return JudgedPartition(
        number=int(entry["node"].removeprefix(f"{device}p")),
        start=int(entry["start"]) * sector,
        size=int(entry["size"]) * sector,
        type=entry["type"].lower(),
        guid=entry.get("uuid"),
    )


def _check_fat(disk: Path, part: JudgedPartition) -> None:
    copy = disk.with_name(f"{disk.name}.esp")
    try:
        _extract(disk, part, copy)
        run("fsck.fat", "-n", copy)
    finally:
        copy.unlink(missing_ok=True)


def _extract(disk: Path, part: JudgedPartition, target: Path) -> None:
    blocks = ("iflag=skip_bytes,count_bytes", f"skip={part.start}", f"count={part.size}")
    run("dd", f"if={disk}", f"of={target}", "bs=1M", *blocks, "conv=sparse", "status=none")


def _compare(image: Path, disk: Path, wanted: JudgedPartition, found: JudgedPartition) -> None:
    same = (wanted.start, wanted.type, wanted.guid) == (found.start, found.type, found.guid)
    # An end may have been rounded up to a whole sector.
    _require(same and 0 <= found.size - wanted.size < 4096, f"{wanted} became {found}")
    if wanted.is_esp:
        before, after = (_identity(file, part) for file, part in ((image, wanted), (disk, found)))
        _require(before == after, f"the ESP's label or volume number: {before} became {after}")
        return
    run("cmp", "--ignore-initial", str(wanted.start), "--bytes", str(wanted.size), image, disk)


def _identity(file: Path, part: JudgedPartition) -> dict[str, str]:
    place = ("--offset", str(part.start), "--size", str(part.size))
    lines = run("blkid", "--probe", *place, "--output", "export", file).decode().splitlines()
    said = dict(line.split("=", 1) for line in lines if "=" in line)
    return {name: said.get(name, "") for name in ("LABEL", "LABEL_FATBOOT", "UUID")}


def _require(holds: object, what: str) -> None:
    if not holds:
        raise TestbedError(what)
