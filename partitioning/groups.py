"""Disk groups: the disks that share kind, size and controller, numbered from 1.

The numbers follow where the disks are plugged in, never the names the kernel gave them, so they are the
same after every boot.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from partitioning.disks import Disk, DiskKind
from partitioning.group_config import GroupConfig, PinnedGroup
from partitioning.hardware_path import location_order

_GB = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskGroup:
    """Some disks of the same kind. The image goes to the first one."""

    id: int
    disks: tuple[Disk, ...]
    pinned: bool = False


def form_groups(inventory: Iterable[Disk], config: GroupConfig | None = None) -> tuple[DiskGroup, ...]:
    """Sort the disks into groups, by id. Ignored disks are in none, and a pinned group may be empty."""
    config = config or GroupConfig()
    free = sorted((disk for disk in inventory if disk.ignored is None), key=_order)
    pinned = []
    for group in config.pinned:
        members = _members(group, free)
        free = [disk for disk in free if disk not in members]
        pinned.append(DiskGroup(id=group.id, disks=members, pinned=True))
    automatic = _automatic(free, _free_ids({group.id for group in pinned}))
    return tuple(sorted((*pinned, *automatic), key=lambda group: group.id))


def default_group_id(config: GroupConfig | None = None) -> int:
    """Return the id of the group that is meant when none is named."""
    return config.default if config else 1


def _members(group: PinnedGroup, free: Iterable[Disk]) -> tuple[Disk, ...]:
    """Return the group's disks in the order of its matches, then by location."""
    candidates = list(free)
    found = (disk for match in group.matches for disk in candidates if match.matches(disk))
    return tuple(dict.fromkeys(found))


def _automatic(free: Iterable[Disk], ids: Iterator[int]) -> Iterator[DiskGroup]:
    buckets: dict[tuple[DiskKind, int, str], list[Disk]] = {}
    for disk in free:
        # Makers differ by a few sectors in what they sell as the same size.
        key = (disk.kind, round(disk.size / _GB), disk.controller)
        buckets.setdefault(key, []).append(disk)
    for disks in buckets.values():
        yield DiskGroup(id=next(ids), disks=tuple(disks))


def _free_ids(taken: set[int]) -> Iterator[int]:
    return (number for number in count(1) if number not in taken)


def _order(disk: Disk) -> tuple[object, ...]:
    # The location of two namespaces or two LUNs may be the same text; never fall back on the name.
    return location_order(disk.location), disk.wwn or "", disk.serial or ""
