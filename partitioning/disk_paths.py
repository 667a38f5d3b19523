"""Several paths to one disk: a dual-ported SAS disk, a LUN, an NVMe namespace behind two controllers.

Without a multipath daemon the kernel shows each path as a disk of its own, with its own holders and mounts.
An exclusive open of one path does not keep anybody from using another.
"""

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
