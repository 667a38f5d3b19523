"""The disks of this machine."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from partitioning.disk_facts import Surroundings, describe_disk, is_disk
from partitioning.disk_paths import Identity, identity
from partitioning.disks import Disk, IgnoredReason
from partitioning.hardware_path import location_order
from partitioning.running_system import running_system_disks
from partitioning.sysfs import REAL, BlockNode, Roots, whole_devices
from partitioning.udev import UdevProperties, properties_for


def read_inventory(*, roots: Roots = REAL, properties: UdevProperties | None = None) -> tuple[Disk, ...]:
    """Return the disks, by where they are plugged in.

    A disk that must never be chosen by number carries the reason in ``ignored``. ``properties`` is the
    udev database by sysname; it is read when it is not given.
    """
    surroundings = read_surroundings(roots=roots, properties=properties)
    found = [describe_disk(node, surroundings) for node in whole_devices(roots) if is_disk(node)]
    ordered = sorted(found, key=lambda disk: (location_order(disk.location), location_order(disk.sysname)))
    return _mark_second_paths(_mark_system_paths(ordered), roots)


def read_surroundings(*, roots: Roots = REAL, properties: UdevProperties | None = None) -> Surroundings:
    """Gather what describing a disk needs beside its own directory in sysfs."""
    return Surroundings(
        properties=properties_for(roots) if properties is None else properties,
        running_system=running_system_disks(roots),
    )


def _mark_system_paths(disks: Iterable[Disk]) -> tuple[Disk, ...]:
    """Mark every path to a disk the running system stands on: it may have been started over any of them."""
    listed = tuple(disks)
    system = {identity(disk) for disk in listed if disk.ignored is IgnoredReason.RUNNING_SYSTEM} - {None}
    return tuple(
        replace(disk, ignored=IgnoredReason.RUNNING_SYSTEM) if identity(disk) in system else disk
        for disk in listed
    )


def _mark_second_paths(disks: Iterable[Disk], roots: Roots) -> tuple[Disk, ...]:
    """Leave one path of each disk that is reachable over several, the first that is optimal."""
    listed = list(disks)
    first: dict[Identity, str] = {}
    for disk in sorted(listed, key=lambda disk: not _is_optimal(disk, roots)):
        known = identity(disk)
        if known and disk.ignored is None:
            first.setdefault(known, disk.sysname)
    return tuple(
        replace(disk, ignored=IgnoredReason.SECOND_PATH)
        if disk.ignored is None and _is_other(disk, first)
        else disk
        for disk in listed
    )


def _is_other(disk: Disk, first: Mapping[Identity, str]) -> bool:
    known = identity(disk)
    return known is not None and first[known] != disk.sysname


def _is_optimal(disk: Disk, roots: Roots) -> bool:
    node = BlockNode((roots.sys / "class/block" / disk.sysname).resolve())
    return node.read("device/access_state") in (None, "active/optimized")
