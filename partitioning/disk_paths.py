"""Several paths to one disk: a dual-ported SAS disk, a LUN, an NVMe namespace behind two controllers.

Without a multipath daemon the kernel shows each path as a disk of its own, with its own holders and mounts.
An exclusive open of one path does not keep anybody from using another.
"""

from collections.abc import Iterable

from partitioning.disk_facts import Surroundings, describe_disk, is_disk, worldwide_name
from partitioning.disks import Disk
from partitioning.sysfs import REAL, Roots, node_at, whole_devices
from partitioning.udev import properties_for

Identity = tuple[str, str | None, int]
"""Worldwide name, serial number and size (bytes)."""


def identity(disk: Disk) -> Identity | None:
    """Give what is the same on every path to ``disk``; None where it has no worldwide name."""
    if not disk.wwn:
        return None
    # Serial number and size too: a worldwide name that a maker gave twice must not make two disks one.
    return worldwide_name(disk.wwn), disk.serial, disk.size


def may_be_same(one: Disk, other: Disk) -> bool:
    """Tell whether both are, or could be, the same disk over two paths.

    Some disks have no worldwide name: then it counts that nothing tells them apart.
    """
    if one.devno == other.devno:
        return True
    if identity(one) is not None and identity(other) is not None:
        return identity(one) == identity(other)
    return one.serial is not None and (one.serial, one.size) == (other.serial, other.size)


def apart_from(disk: Disk, inventory: Iterable[Disk], *, roots: Roots = REAL) -> tuple[Disk, ...]:
    """Give the disks of ``inventory`` on which nothing of ``disk`` stands.

    Those that a multipath or md device is composed of are left out, and so are other paths to the same disk.
    """
    node = node_at(disk.devno, roots) if disk.devno else None
    beneath = {below.devno for below in node.bottoms()} if node else set()
    return tuple(each for each in inventory if each.devno not in beneath and not may_be_same(each, disk))


def other_paths(disk: Disk, *, roots: Roots = REAL) -> tuple[Disk, ...]:
    """Return the same disk as it is seen over each of its other paths, as it is now."""
    node = node_at(disk.devno, roots) if disk.devno else None
    if node is None:
        return ()
    # All paths are described anew, and alike: udev may not have known one of them before.
    surroundings = Surroundings(properties=properties_for(roots))
    wanted = identity(describe_disk(node, surroundings))
    others = (each for each in whole_devices(roots) if each != node and is_disk(each))
    described = (describe_disk(each, surroundings) for each in others) if wanted else ()
    return tuple(other for other in described if identity(other) == wanted)
