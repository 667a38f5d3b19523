"""The firmware's boot entry for the deployed disk: planned beforehand, made when the disk is complete."""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.boot.boot_draft import Loader
from partitioning.command import CommandError
from partitioning.disks import Disk
from partitioning.uefi.boot_entries import (
    BootEntry,
    add_boot_entry,
    read_boot_entries,
    remove_boot_entry,
    set_boot_order,
    why_unchangeable,
)
from partitioning.uefi.boot_entry_plan import EntryChanges, Partuuids, new_order, partuuids_on, plan_changes
from partitioning.uefi.names import fallback_path, shown

_MOST_SECONDS = 60.0

LABEL = "byoi-agent"
"""What the entry is called: an entry of this name is the agent's own and is replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPlan:
    """An entry for ``loader``, and what becomes of those there are."""

    loader: Loader
    changes: EntryChanges


class NoEntry(Exception):
    """No entry can be made."""

    def __init__(self, why: str) -> None:
        """Say in ``why`` what stands against it."""
        super().__init__(f"No boot entry can be made: {why}.")


def by_itself(why: NoEntry) -> str:
    """Say what follows from it for a disk with a loader at the fallback path."""
    return (
        f"{why} The firmware has to find {shown(fallback_path())} on the disk by itself, which it does where"
        " no other entry comes first."
    )


def plan_entry(
    loader: Loader,
    new: frozenset[str],
    disk: Disk,
    others: Iterable[Disk],
    *,
    erased: frozenset[str],
    removes_astray: bool,
) -> EntryPlan:
    """Plan the entry; nothing is changed. ``new`` are the PARTUUIDs of the new system.

    ``erased`` are those of partitions on ``others`` that will be erased. Raises NoEntry.
    """
    if (why := why_unchangeable()) is not None:
        raise NoEntry(why)
    try:
        have = read_boot_entries()
    except CommandError as error:
        raise NoEntry(f"{error.message} {error.detail}".rstrip(".")) from error
    elsewhere, complete = partuuids_on(others)
    gone, _ = partuuids_on([disk])
    known = Partuuids(new=new, elsewhere=elsewhere - erased, gone=gone | erased, complete=complete)
    changes = plan_changes(have, known, own_label=LABEL, removes_astray=removes_astray)
    return EntryPlan(loader=loader, changes=changes)


def make_entry(
    plan: EntryPlan, disk: Path, *, warn: Callable[[str], None], kept: Collection[str] = ()
) -> BootEntry:
    """Remove what is to be removed, make the entry, put it in its place, and read it back.

    An entry goes only if it is still what it was when it was planned, and leads to none of the partitions
    ``kept`` (PARTUUIDs); ``warn`` is told of one that can not be removed. Raises CommandError, and NoEntry
    where the firmware has forgotten the new one at once.
    """
    there = read_boot_entries().entries
    _remove_all([each for each in plan.changes.removed if each in there and each.partuuid not in kept], warn)
    before = {entry.number for entry in read_boot_entries().entries}
    loader = plan.loader
    add_boot_entry(disk, loader.partition, loader=loader.path, label=LABEL, arguments=loader.arguments)
    after = read_boot_entries()
    made = next((each for each in after.entries if each.number not in before and each.label == LABEL), None)
    if made is None:
        raise NoEntry("the firmware did not keep it")
    order = new_order(after.order, new=made.number, ahead=plan.changes.ahead)
    if order != after.order:
        _set_order(order, made, warn)
    return made


def _remove_all(doomed: Iterable[BootEntry], warn: Callable[[str], None]) -> None:
    # Some firmware takes its time for each; the disk is complete and waits for this.
    end = time.monotonic() + _MOST_SECONDS
    for entry in doomed:
        if time.monotonic() > end:
            warn(f"The boot entry {entry_words(entry)} was not removed: the firmware takes too long.")
            continue
        try:
            remove_boot_entry(entry.number)
        except CommandError as error:
            warn(f"The boot entry {entry_words(entry)} could not be removed: {error.message} {error.detail}")


def _set_order(order: Sequence[str], made: BootEntry, warn: Callable[[str], None]) -> None:
    try:
        set_boot_order(order)
    except CommandError as error:
        warn(
            f"The boot entry {entry_words(made)} is made, but stands in front of the network entries: their"
            f" order could not be set. {error.message} {error.detail}"
        )


def entry_words(entry: BootEntry) -> str:
    """Name an entry as the firmware's menu does."""
    return f"{entry.number} “{entry.label}”"
