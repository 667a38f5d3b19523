"""What the running system stands on, and the refusal to touch it."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from partitioning.mounts import Mount, mount_with, read_mounts, read_swaps
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
    """Return the disks the running system stands on: device number → why (a phrase for a person).

    Followed are the system's mounts and swap, the layers of overlays, the files behind loop devices, and
    whatever device mapper, md or bcache put between them and a disk.
    """
    mounts = read_mounts(roots)
    found: dict[str, str] = {}
    for node, why in _footholds(mounts, roots):
        for disk in _disks_under(node, mounts, roots):
            found.setdefault(disk.devno, why)
    return found


def _footholds(mounts: tuple[Mount, ...], roots: Roots) -> Iterator[tuple[BlockNode, str]]:
    for mount in mounts:
        if any(fnmatchcase(mount.mount_point, pattern) for pattern in _SYSTEM_MOUNTS):
            for node in _nodes_of_mount(mount, mounts, roots, frozenset()):
                yield node, f"mounted at {mount.mount_point}"
    for swap in read_swaps(roots):
        for node in _nodes_of_file(swap, mounts, roots, frozenset()):
            yield node, f"in use as swap ({swap})"


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


def _disks_under(start: BlockNode, mounts: tuple[Mount, ...], roots: Roots) -> Iterable[BlockNode]:
    """Follow ``start`` down to the devices that stand on nothing else."""
    todo, seen, disks = [start], set[BlockNode](), []
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        below = list(_below(node, mounts, roots))
        todo += below
        if not below:
            disks.append(node)
    return disks


def _below(node: BlockNode, mounts: tuple[Mount, ...], roots: Roots) -> Iterator[BlockNode]:
    if node.is_partition:
        yield node.whole
    yield from node.neighbours("slaves")
    backing = node.read("loop/backing_file")
    if backing is not None:
        yield from _nodes_of_file(backing.removesuffix(" (deleted)"), mounts, roots, frozenset())
