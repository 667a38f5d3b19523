"""Lays an image's disk out in a file: the partition table, and what goes into a partition."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .command import run
from .image_recipe import ImageRecipe, Partition, Table

_MIB = 1 << 20
_FILE_SECTOR = 512


def partition_disk(recipe: ImageRecipe, disk: Path) -> None:
    """Make the file `disk`, sparse, with nothing but the table on it."""
    with disk.open("wb") as image:
        image.truncate(recipe.size_mib * _MIB)
    script = table_script(recipe).encode()
    with _with_sectors_of(recipe.logical_sector, disk) as device:
        run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", device, stdin=script)


@contextmanager
def _with_sectors_of(size: int, disk: Path) -> Iterator[Path]:
    """The file as a device with sectors of `size` bytes; for sfdisk a file itself always has 512."""
    if size == _FILE_SECTOR:
        yield disk
        return
    found = run("losetup", "--find", "--show", "--sector-size", str(size), disk)
    device = Path(found.decode().strip())
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


def table_script(recipe: ImageRecipe) -> str:
    """The table for sfdisk, in logical sectors. Names before the colon give the partition numbers."""
    identity = recipe.identity("table")
    label = f"0x{identity.int & 0xFFFFFFFF:08x}" if recipe.table is Table.MBR else str(identity)
    lines = [f"label: {recipe.table}", f"label-id: {label}", "unit: sectors"]
    lines.append(f"sector-size: {recipe.logical_sector}")
    lines += [_line(recipe, partition) for partition in recipe.partitions]
    return "\n".join(lines) + "\n"


def _line(recipe: ImageRecipe, partition: Partition) -> str:
    start, size = (value // recipe.logical_sector for value in recipe.bytes_of(partition))
    line = f"disk{partition.number} : start={start}, size={size}, type={recipe.type_of(partition)}"
    own = f", uuid={recipe.identity(partition.role)}" if recipe.table is Table.GPT else ""
    return line + own


def put_partition(content: Path, disk: Path, start: int) -> None:
    """Copy the file `content` to the byte `start` of the disk, a multiple of 1 MiB; holes stay holes."""
    place = ("bs=1M", f"seek={start // _MIB}", "conv=notrunc,sparse", "status=none")
    run("dd", f"if={content}", f"of={disk}", *place)
