"""Who holds a disk: device mapper, md, bcache, loop devices, mounts and swap, told by sysfs and procfs.

What sysfs and procfs do not show (an imported ZFS pool, the external journal of a file system, something
mounted in another namespace) is found by asking the kernel for the disk exclusively.
"""

import errno
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from partitioning.disks import Disk
from partitioning.mounts import Mount, mount_with, read_all_mounts, read_mounts, read_swaps
from partitioning.sysfs import REAL, BlockNode, Roots, node_at, node_behind, whole_devices

# mdadm, blkid and others open a disk exclusively for a moment; they do not hold it.
_PROBE_WAIT = 1.0
_PROBE_POLL = 0.1


class HolderKind(StrEnum):
    """What sort of thing holds a disk."""

    LVM = "LVM"
    CRYPT = "crypt"
    MULTIPATH = "multipath"
    DM = "device mapper"
    MD = "md"
    BCACHE = "bcache"
    LOOP = "loop"
    MOUNT = "mount"
    SWAP = "swap"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """One thing that holds a disk or a partition, and what holds that thing in turn.

    ``on`` is the device or file it stands on, ``name`` how a person knows it: md127, vg0-root, a mount
    point. ``sysname`` is the kernel's name of the block device it is, None for a mount or swap.
    """

    kind: HolderKind
    on: str
    name: str
    sysname: str | None = None
    about: str = ""
    held_by: tuple["Holder", ...] = ()

    def title(self) -> str:
        """Name it, without what holds it in turn."""
        if self.kind is HolderKind.MOUNT:
            return f"mounted at {self.name}"
        if self.kind is HolderKind.SWAP:
            return "in use as swap"
        prefix = f"{self.kind} " if self.kind in _NAMED_BY_KIND else ""
        return f"{prefix}{self.name}" + (f" ({self.about})" if self.about else "")

    def describe(self) -> str:
        """Give one line: ``md127 (raid1, active) ← LVM vg0-root ← mounted at /mnt``."""
        above = [holder.describe() for holder in self.held_by]
        if not above:
            return self.title()
        return f"{self.title()} ← {above[0]}" if len(above) == 1 else f"{self.title()} ← ({'; '.join(above)})"

    def walk(self) -> Iterator["Holder"]:
        """Yield all that stands on it, the topmost first, and then itself."""
        for holder in self.held_by:
            yield from holder.walk()
        yield self


_DM_OWNERS = {"LVM": HolderKind.LVM, "CRYPT": HolderKind.CRYPT, "mpath": HolderKind.MULTIPATH}
_NAMED_BY_KIND = (HolderKind.LVM, HolderKind.CRYPT, HolderKind.MULTIPATH, HolderKind.DM)


def find_holders(disk: Disk, *, roots: Roots = REAL, probe: bool = True) -> tuple[Holder, ...]:
    """Return what holds ``disk`` or one of its partitions; nothing means that it is free.

    With ``probe``, a disk that nothing visible holds is opened exclusively, for reading, for a moment.
    """
    view = _View(roots)
    node = node_at(disk.devno, roots) if disk.devno else None
    found = view.on_file(disk.path) if disk.is_file else view.on_device(node) if node else ()
    if found or disk.is_file or not probe or not _is_claimed(roots.device_path(str(disk.path))):
        return found
    about = "perhaps an imported ZFS pool, a file system's journal, or a mount in another namespace"
    return (Holder(kind=HolderKind.UNKNOWN, on=disk.sysname, name="something unlisted", about=about),)


def walk(holders: Iterable[Holder]) -> Iterator[Holder]:
    """Yield every holder of the trees, each after all that stands on it."""
    for holder in holders:
        yield from holder.walk()


def describe_holders(holders: Iterable[Holder]) -> str:
    """Give all holders on one line, each with the device it stands on: ``sda1: mounted at /mnt``."""
    return "; ".join(f"{holder.on}: {holder.describe()}" for holder in holders)


class _View:
    """What procfs and sysfs showed at one moment."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._mounts = read_all_mounts(roots)
        self._own_mounts = read_mounts(roots)
        self._swaps = read_swaps(roots)
        self._loops = [
            (node, backing.removesuffix(" (deleted)"))
            for node in whole_devices(roots)
            if (backing := node.read("loop/backing_file")) is not None
        ]

    def on_device(self, disk: BlockNode, seen: frozenset[BlockNode] = frozenset()) -> tuple[Holder, ...]:
        """Return what holds a whole device and its partitions."""
        if disk in seen:
            return ()
        seen |= {disk}
        nodes = (disk, *disk.partitions())
        return tuple(holder for node in nodes for holder in self._on_node(node, seen))

    def on_file(self, path: Path) -> tuple[Holder, ...]:
        """Return what holds a regular file."""
        swap = [
            Holder(kind=HolderKind.SWAP, on=path.name, name=swap)
            for swap in self._swaps
            if _same_file(path, swap)
        ]
        loops = (
            self._loop(loop, backing, path.name, frozenset())
            for loop, backing in self._loops
            if _same_file(path, backing)
        )
        return (*loops, *swap)

    def _on_node(self, node: BlockNode, seen: frozenset[BlockNode]) -> Iterator[Holder]:
        for above in node.neighbours("holders"):
            yield self._stacked(above, node, seen)
        if (node.directory / "bcache").is_dir() and not node.neighbours("holders"):
            yield Holder(kind=HolderKind.BCACHE, on=node.name, name="bcache", about="a registered member")
        for loop, backing in self._loops:
            if node_behind(backing, self._roots) == node:
                yield self._loop(loop, backing, node.name, seen)
        yield from self._mounted(node, seen)
        for swap in self._swaps:
            if node_behind(swap, self._roots) == node:
                yield Holder(kind=HolderKind.SWAP, on=node.name, name=swap)

    def _stacked(self, above: BlockNode, node: BlockNode, seen: frozenset[BlockNode]) -> Holder:
        kind, name, about = _identify(above)
        return Holder(
            kind=kind,
            on=node.name,
            name=name,
            sysname=above.name,
            about=about,
            held_by=self.on_device(above, seen),
        )

    def _loop(self, loop: BlockNode, backing: str, on: str, seen: frozenset[BlockNode]) -> Holder:
        return Holder(
            kind=HolderKind.LOOP,
            on=on,
            name=loop.name,
            sysname=loop.name,
            about=backing,
            held_by=self.on_device(loop, seen),
        )

    def _mounted(self, node: BlockNode, seen: frozenset[BlockNode]) -> Iterator[Holder]:
        uuid, members = _btrfs(node, self._roots)
        mounts = [mount for mount in self._mounts if self._is_on(mount, node, members)]
        users = (*self._loops_within(mounts, seen), *self._swaps_within(mounts))
        places = list(dict.fromkeys(mount.mount_point for mount in mounts))
        if not places and uuid:
            places = [f"a place this process does not see (btrfs {uuid})"]
        for number, place in enumerate(places):
            held_by = users if number == 0 else ()
            yield Holder(kind=HolderKind.MOUNT, on=node.name, name=place, held_by=held_by)

    def _is_on(self, mount: Mount, node: BlockNode, btrfs_members: tuple[str, ...]) -> bool:
        if mount.devno == node.devno:
            return True
        # A btrfs has a device number of its own and names one of its devices.
        source = node_behind(mount.source, self._roots) if mount.fstype == "btrfs" else None
        return source is not None and source.name in btrfs_members

    def _loops_within(self, mounts: list[Mount], seen: frozenset[BlockNode]) -> Iterator[Holder]:
        """Yield the loop devices whose files are stored in one of ``mounts``."""
        for loop, backing in self._loops:
            mount = mount_with(backing, self._own_mounts)
            if mount in mounts and loop not in seen:
                yield self._loop(loop, backing, mount.mount_point, seen)

    def _swaps_within(self, mounts: list[Mount]) -> Iterator[Holder]:
        """Yield the swap files that are stored in one of ``mounts``."""
        for swap in self._swaps:
            mount = mount_with(swap, self._own_mounts)
            if mount in mounts:
                yield Holder(kind=HolderKind.SWAP, on=mount.mount_point, name=swap)


def _btrfs(node: BlockNode, roots: Roots) -> tuple[str, tuple[str, ...]]:
    """Return the UUID of the mounted btrfs ``node`` is part of, and the names of all its devices."""
    for devices in (roots.sys / "fs/btrfs").glob("*/devices"):
        if (devices / node.name).exists():
            return devices.parent.name, tuple(link.name for link in devices.iterdir())
    return "", ()


def _identify(node: BlockNode) -> tuple[HolderKind, str, str]:
    """Tell what a stacked block device is: kind, name for a person, particulars."""
    dm_name = node.read("dm/name")
    if dm_name is not None:
        return _dm_kind(node.read("dm/uuid") or ""), dm_name, ""
    if (node.directory / "md").is_dir():
        level, state = node.read("md/level") or "container", node.read("md/array_state")
        return HolderKind.MD, node.name, ", ".join(filter(None, (level, state)))
    kind = HolderKind.BCACHE if node.name.startswith("bcache") else HolderKind.UNKNOWN
    return kind, node.name, ""


def _dm_kind(uuid: str) -> HolderKind:
    """Tell the kind by the uuid's prefix, which each tool sets.

    A partition of a multipath device (part1-mpath-…) is not multipath itself: it can be removed.
    """
    return _DM_OWNERS.get(uuid.partition("-")[0], HolderKind.DM)


def _same_file(path: Path, other: str) -> bool:
    with suppress(OSError):
        return path.samefile(other)
    return False


def _is_claimed(path: Path) -> bool:
    """Tell whether the kernel keeps refusing ``path`` for exclusive use."""
    deadline = time.monotonic() + _PROBE_WAIT
    while True:
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
        except OSError as error:
            if error.errno != errno.EBUSY:
                return False
        else:
            return False
        if time.monotonic() > deadline:
            return True
        time.sleep(_PROBE_POLL)
