"""Which boot entries of the firmware go, and in what order they stand afterwards.

Entries of systems that are no longer there survive every reinstallation; firmware tries them first, or stops
at them and asks. What leads to a partition that still exists is somebody's system and stays.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from partitioning.disks import Disk
from partitioning.errors import DiskError
from partitioning.gpt import has_backup
from partitioning.open_disk import OpenDisk, open_for_reading
from partitioning.table import NoTable, read_table
from partitioning.uefi.boot_entries import BootEntries, BootEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Partuuids:
    """Partitions by what Linux calls them: of the new system, on other disks, and those that will be gone.

    ``complete`` is False when a disk could not be read: then a partition that is in none of these may exist.
    """

    new: frozenset[str]
    elsewhere: frozenset[str]
    gone: frozenset[str]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryChanges:
    """What is removed, what leads to no partition that can be seen, what stays in front of the new one.

    ``unseen`` are those of the removed that lead to no partition that can be seen.
    """

    removed: tuple[BootEntry, ...]
    astray: tuple[BootEntry, ...]
    ahead: tuple[str, ...]
    unseen: tuple[BootEntry, ...] = ()


def plan_changes(
    have: BootEntries, partuuids: Partuuids, *, own_label: str, removes_astray: bool
) -> EntryChanges:
    """Decide what becomes of the entries there are when one with ``own_label`` is added.

    What leads to a partition that is overwritten goes, and so does an entry with ``own_label``, unless its
    partition is on another disk only. One whose partition nobody sees may be for a disk that is not plugged
    in or has no driver here: it goes only where ``removes_astray`` says so, and every disk could be read.

    The new one comes first, with one exception: where this system was started by a network entry and such
    ones stood first, they stay there. Whoever starts servers over the network decides at each boot what
    comes next, and would lose them otherwise.
    """
    surely = [entry for entry in have.entries if _goes(entry, partuuids, own_label)]
    astray = [entry for entry in have.entries if entry not in surely and _is_astray(entry, partuuids)]
    unseen = astray if removes_astray and partuuids.complete else []
    return EntryChanges(
        removed=tuple(entry for entry in have.entries if entry in surely or entry in unseen),
        astray=tuple(entry for entry in astray if entry not in unseen),
        ahead=_network_first(have),
        unseen=tuple(unseen),
    )


def new_order(order: Iterable[str], *, new: str, ahead: Collection[str]) -> tuple[str, ...]:
    """Put ``new`` in front of all entries of ``order`` but those that stay ``ahead``."""
    others = [number for number in order if number != new]
    first = [number for number in others if number in ahead]
    return (*first, new, *(number for number in others if number not in ahead))


def partuuids_on(disks: Iterable[Disk]) -> tuple[frozenset[str], bool]:
    """Give what all partitions on ``disks`` are called by, and whether every disk could be read."""
    found: set[str] = set()
    complete = True
    for disk in disks:
        try:
            with open_for_reading(disk.path) as opened:
                found.update(_on_disk(opened))
        except DiskError:
            complete = False
    return frozenset(found), complete


def _on_disk(opened: OpenDisk) -> list[str]:
    """Raises DiskError where the table is damaged, also where only its backup is left."""
    try:
        return [part.partuuid for part in read_table(opened, opened.sector_size).partitions]
    except NoTable:
        if has_backup(opened):
            raise
        return []


def _goes(entry: BootEntry, partuuids: Partuuids, own_label: str) -> bool:
    if entry.label == own_label:
        # What another disk shares with the new system, firmware can not tell apart either.
        return entry.partuuid in partuuids.new or entry.partuuid not in partuuids.elsewhere
    if entry.partuuid in partuuids.elsewhere:
        return False
    return entry.partuuid in partuuids.gone and entry.partuuid not in partuuids.new


def _is_astray(entry: BootEntry, partuuids: Partuuids) -> bool:
    return entry.partuuid is not None and entry.partuuid not in partuuids.new | partuuids.elsewhere


def _network_first(have: BootEntries) -> tuple[str, ...]:
    network = {entry.number for entry in have.entries if entry.is_network}
    first = []
    for number in have.order:
        if number not in network:
            break
        first.append(number)
    return tuple(first) if have.current in first else ()
