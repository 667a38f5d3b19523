"""The disks of this machine."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from partitioning.disk_facts import Surroundings, describe_disk, worldwide_name
from partitioning.disks import Disk, IgnoredReason
from partitioning.hardware_path import location_order
from partitioning.running_system import running_system_disks
from partitioning.sysfs import REAL, BlockNode, Roots, whole_devices

UdevProperties = Mapping[str, Mapping[str, str]]

# Block devices that are no disk one could look for: memory, files, optical drives, floppies, compositions
# of other devices, network devices, and the boot and key areas of an eMMC.
_NEVER_DISKS = re.compile(
    r"(zram|ram|loop|sr|scd|fd|md|dm-|nbd|rbd|drbd|bcache|zd|ublkb|mtdblock|pmem|btt)\d.*"
    r"|mmcblk\d+(boot\d+|rpmb|gp\d+)"
)


def read_inventory(*, roots: Roots = REAL, properties: UdevProperties | None = None) -> tuple[Disk, ...]:
    """Return the disks, by where they are plugged in.

    A disk that must never be chosen by number carries the reason in ``ignored``. ``properties`` is the
    udev database by sysname; it is read when it is not given.
    """
    surroundings = read_surroundings(roots=roots, properties=properties)
    found = [describe_disk(node, surroundings) for node in whole_devices(roots) if is_disk(node)]
    ordered = sorted(found, key=lambda disk: (location_order(disk.location), location_order(disk.sysname)))
    return _mark_second_paths(ordered, roots)


def read_surroundings(*, roots: Roots = REAL, properties: UdevProperties | None = None) -> Surroundings:
    """Gather what describing a disk needs beside its own directory in sysfs."""
    return Surroundings(
        properties=udev_properties() if properties is None else properties,
        running_system=running_system_disks(roots),
    )


def is_disk(node: BlockNode) -> bool:
    """Tell whether a whole block device is a disk a person would look for."""
    # A hidden device is one path of a multipath NVMe namespace; it can not be opened.
    if _NEVER_DISKS.fullmatch(node.name) or node.number("hidden") or node.size == 0:
        return False
    return "/devices/virtual/" not in str(node.directory) or node.name.startswith("nvme")


def udev_properties() -> UdevProperties:
    """Read the udev database: sysname → properties, for whole block devices.

    Without a udev daemon the entries hold little more than the kernel's own names.
    """
    # Here, because it takes a noticeable part of the start-up time.
    import pyudev

    devices = pyudev.Context().list_devices(subsystem="block", DEVTYPE="disk")
    return {device.sys_name: dict(device.properties) for device in devices}


def _mark_second_paths(disks: Iterable[Disk], roots: Roots) -> tuple[Disk, ...]:
    """Leave one path of each disk that is reachable over several, the first that is optimal."""
    listed = list(disks)
    first: dict[tuple[str, str | None, int], str] = {}
    for disk in sorted(listed, key=lambda disk: not _is_optimal(disk, roots)):
        if disk.wwn and disk.ignored is None:
            first.setdefault(_identity(disk), disk.sysname)
    return tuple(
        replace(disk, ignored=IgnoredReason.SECOND_PATH)
        if disk.wwn and disk.ignored is None and first[_identity(disk)] != disk.sysname
        else disk
        for disk in listed
    )


def _identity(disk: Disk) -> tuple[str, str | None, int]:
    # Serial number and size too: a worldwide name that a maker gave twice must not hide a disk.
    return worldwide_name(disk.wwn or ""), disk.serial, disk.size


def _is_optimal(disk: Disk, roots: Roots) -> bool:
    node = BlockNode((roots.sys / "class/block" / disk.sysname).resolve())
    return node.read("device/access_state") in (None, "active/optimized")
