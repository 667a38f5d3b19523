"""What the running system stands on, and the refusal to touch it."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase

from partitioning.disk_paths import other_paths
from partitioning.disks import Disk
from partitioning.errors import DiskBusy
from partitioning.holders import Holder, HolderKind, describe_holders, find_holders, walk
from partitioning.mounts import Mount, mount_with, read_mounts
from partitioning.sysfs import REAL, BlockNode, Roots, node_at, node_behind, node_named

# Where the running system's own files are, and where live media are mounted (live-boot, casper, dracut,
# archiso, older Debian live).
_SYSTEM_MOUNTS = (
    "/",
    "/usr",
    "/boot",
    "/boot/*",
    "/efi",
    "/run/live/*",
    "/lib/live/mount/*",
    "/usr/lib/live/mount/*",
    "/cdrom",
    "/run/initramfs/*",
    "/run/archiso/*",
    "/run/install/*",
    "/media/cdrom*",
)


def running_system_disks(roots: Roots = REAL) -> dict[str, str]:
    """Return the devices the running system stands on: device number → why (a phrase for a person).

    These are the disks and all whole devices between them and the system. Followed are the system's own
    mounts, the layers of overlays, the files behind loop devices, and whatever device mapper, md or bcache
    put between them and a disk. Swap is not in it: it can be turned off, and until then the disk is busy.
    """
    mounts = read_mounts(roots)
    found: dict[str, str] = {}
    for node, why in _footholds(mounts, roots):
        for device in _all_under(node, mounts, roots):
            found.setdefault(device.devno, why)
    return found


def refuse_if_in_use(disk: Disk, *, roots: Roots = REAL) -> None:
    """Raise DiskBusy when the running system stands on ``disk``, or it is mounted, swap or claimed.

    What can be stopped without loss (md, LVM, crypt, loop devices that nobody uses) is no reason, unless
    it holds the disk over another path to it.
    """
    system = running_system_disks(roots)
    _refuse_running_system(disk, system)
    holders = find_holders(disk, roots=roots)
    _refuse_users(disk, holders)
    for other in other_paths(disk, roots=roots):
        _refuse_other_path(disk, other, system, holders, roots)


def _refuse_running_system(disk: Disk, system: Mapping[str, str]) -> None:
    why = system.get(disk.devno or "")
    if why is not None:
        raise DiskBusy(
            f"The running system stands on the disk {disk.path}.",
            detail=f"It is {why}. Nothing was written to it.",
            hint="Choose another disk, or boot a rescue system that does not run from this one.",
        )


def _refuse_users(disk: Disk, holders: tuple[Holder, ...]) -> None:
    hint = _what_to_do(tuple(walk(holders)))
    if hint:
        raise DiskBusy(
            f"The disk {disk.path} is in use.",
            detail=f"{describe_holders(holders)}. Nothing was written to it.",
            hint=hint,
        )


def _refuse_other_path(
    disk: Disk, other: Disk, system: Mapping[str, str], holders: tuple[Holder, ...], roots: Roots
) -> None:
    why = system.get(other.devno or "")
    if why is not None:
        raise DiskBusy(
            f"The running system stands on the disk {disk.path}.",
            detail=f"{other.path} is another path to it, and is {why}. Nothing was written to it.",
            hint="Choose another disk, or boot a rescue system that does not run from this one.",
        )
    # What holds both, as a multipath device does, is stopped or refused with the disk itself.
    known = {holder.sysname for holder in holders if holder.sysname}
    foreign = tuple(each for each in find_holders(other, roots=roots) if each.sysname not in known)
    if foreign:
        raise DiskBusy(
            f"The disk {disk.path} is in use over its other path {other.path}.",
            detail=f"{describe_holders(foreign)}. Nothing was written to it.",
            hint=_what_to_do(tuple(walk(foreign))) or _name_instead(other, foreign),
        )


def _name_instead(other: Disk, holders: tuple[Holder, ...]) -> str:
    multipath = next((holder for holder in holders if holder.kind is HolderKind.MULTIPATH), None)
    if multipath is not None:
        return f"Name the multipath device as the target: --disk /dev/mapper/{multipath.name}"
    return f"Name that path as the target (--disk {other.path}), or stop by hand what holds it."


def _what_to_do(holders: tuple[Holder, ...]) -> str:
    """Give the commands that end the use, topmost first; empty when nothing uses the disk."""
    verbs = {HolderKind.MOUNT: "umount", HolderKind.SWAP: "swapoff"}
    commands = [f"{verbs[each.kind]} {shlex.quote(each.name)}" for each in holders if each.kind in verbs]
    if commands:
        return f"If it may be erased: {'; '.join(dict.fromkeys(commands))}; then start again."
    if any(holder.kind is HolderKind.UNKNOWN and holder.sysname is None for holder in holders):
        return "Find what holds it (zpool list, lsof, lsblk), stop that, then start again."
    return ""


def _footholds(mounts: tuple[Mount, ...], roots: Roots) -> Iterator[tuple[BlockNode, str]]:
    for mount in mounts:
        if any(fnmatchcase(mount.mount_point, pattern) for pattern in _SYSTEM_MOUNTS):
            for node in _nodes_of_mount(mount, mounts, roots, frozenset()):
                yield node, f"mounted at {mount.mount_point}"


def _nodes_of_mount(
    mount: Mount, mounts: tuple[Mount, ...], roots: Roots, seen: frozenset[Mount]
) -> Iterator[BlockNode]:
    if mount in seen:
        return
    node = node_at(mount.devno, roots) or node_behind(mount.source, roots)
    if node is not None:
        yield node
        yield from _btrfs_companions(mount, node, roots)
    for layer in mount.layers():
        yield from _nodes_of_file(layer, mounts, roots, seen | {mount})


def _nodes_of_file(
    path: str, mounts: tuple[Mount, ...], roots: Roots, seen: frozenset[Mount]
) -> Iterator[BlockNode]:
    """Yield the block device at ``path``, or those the file or directory there is stored on."""
    node = node_behind(path, roots)
    if node is not None:
        yield node
        return
    mount = mount_with(path, mounts)
    if mount is not None:
        yield from _nodes_of_mount(mount, mounts, roots, seen)


def _btrfs_companions(mount: Mount, node: BlockNode, roots: Roots) -> Iterator[BlockNode]:
    """Yield every device of the btrfs that ``node`` is one device of."""
    if mount.fstype != "btrfs":
        return
    for devices in (roots.sys / "fs/btrfs").glob("*/devices"):
        if (devices / node.name).exists():
            found = (node_named(link.name, roots) for link in devices.iterdir())
            yield from (companion for companion in found if companion is not None)


def _all_under(start: BlockNode, mounts: tuple[Mount, ...], roots: Roots) -> Iterable[BlockNode]:
    """Follow ``start`` down to the disks; return these and all whole devices on the way."""
    todo, seen = [start], set[BlockNode]()
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += _below(node, mounts, roots)
    return sorted(node for node in seen if not node.is_partition)


def _below(node: BlockNode, mounts: tuple[Mount, ...], roots: Roots) -> Iterator[BlockNode]:
    if node.is_partition:
        yield node.whole
    yield from node.neighbours("slaves")
    backing = node.read("loop/backing_file")
    if backing is not None:
        yield from _nodes_of_file(backing.removesuffix(" (deleted)"), mounts, roots, frozenset())
