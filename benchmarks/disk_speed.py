"""Holds the machine's disk to a speed while something is measured, by the kernel's control groups.

What the kernel offers for it is in its admin-guide/cgroup-v2.rst (io.max) and cgroup-v1/blkio-controller.rst.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import TestbedError

_GROUP = "byoi-bench"
_HINT = "Use a disk that is not held to a speed: make bench DISK=direct."


@dataclass(frozen=True, kw_only=True)
class DiskSpeed:
    """What a disk does in a second, in bytes."""

    reads: int
    writes: int


def disk_held_to(speed: DiskSpeed, below: Path) -> AbstractContextManager[None]:
    """While the block lasts, the disk that ``below`` lies on reads and writes as one of this speed does.

    It is so for this process and those that it starts, and for what the kernel writes on their behalf later.
    Raises TestbedError where the kernel can not do it.
    """
    disk = _whole_disk(below)
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mounted, kind, *_ = line.split()
        root = Path(mounted)
        if kind == "cgroup2" and {"io", "memory"} <= set((root / "cgroup.controllers").read_text().split()):
            return _held_for_a_group(root, disk, speed)
        if kind == "cgroup" and (root / "blkio.throttle.write_bps_device").exists():
            return _held_for_all(root, disk, speed)
    raise TestbedError("this kernel can not hold a disk to a speed", hint=_HINT)


def _whole_disk(below: Path) -> str:
    """The number of the disk as `major:minor`; the kernel takes none of a partition."""
    device = below.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    known = Path("/sys/dev/block", number)
    if not known.exists():
        raise TestbedError(f"the kernel does not say which disk {below} is on", hint=_HINT)
    if (known / "partition").exists():
        return (known.resolve().parent / "dev").read_text().strip()
    return number


@contextmanager
def _held_for_a_group(root: Path, disk: str, speed: DiskSpeed) -> Iterator[None]:
    """Version 2: its root can not be held to anything, so this process goes into a group of its own."""
    # With both of them what the kernel writes from its cache belongs to the group whose pages they were.
    (root / "cgroup.subtree_control").write_text("+io +memory")
    group = root / _GROUP
    group.mkdir(exist_ok=True)
    (group / "io.max").write_text(f"{disk} rbps={speed.reads} wbps={speed.writes}")
    came_from = root / _own_group()
    _enter(group)
    try:
        yield
    finally:
        _enter(came_from)
        group.rmdir()


def _own_group() -> str:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return next(line.removeprefix("0::/") for line in lines if line.startswith("0::"))


def _enter(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


@contextmanager
def _held_for_all(root: Path, disk: str, speed: DiskSpeed) -> Iterator[None]:
    """Version 1: the root of the hierarchy can be held, and with it whatever runs on the machine."""
    limits = {"read": speed.reads, "write": speed.writes}
    try:
        for way, limit in limits.items():
            _limit(root, way, disk, limit)
        yield
    finally:
        for way in limits:
            _limit(root, way, disk, 0)  # which means none


def _limit(root: Path, way: str, disk: str, limit: int) -> None:
    (root / f"blkio.throttle.{way}_bps_device").write_text(f"{disk} {limit}")
