"""Whether a server is in its rescue system, told by what is mounted there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_IN_MEMORY = ("tmpfs", "ramfs", "rootfs", "overlay", "overlayfs", "aufs")
_FROM_ELSEWHERE = ("squashfs", "erofs", "iso9660", "nfs", "nfs4")
"""From a medium, which may be in memory, too, or from the network."""
RESCUE_ROOTS = frozenset((*_IN_MEMORY, *_FROM_ELSEWHERE))
"""The types of root file systems that rescue systems have."""
_MEDIA = frozenset(("squashfs", "iso9660", "udf", "erofs", "vfat", "exfat"))
_NO_DISK = re.compile(r"/dev/(loop|ram|zram|sr|fd)\d")
_HAND_MOUNTED = "/mnt"


@dataclass(frozen=True)
class Verdict:
    """Whether it is in rescue mode, and what tells."""

    rescue: bool
    reason: str


@dataclass(frozen=True)
class _Mount:
    source: str
    place: str
    kind: str

    @property
    def is_of_a_disk(self) -> bool:
        """Tell whether a file system on a disk is mounted where an installed system would have it."""
        if not self.source.startswith("/dev/") or _NO_DISK.match(self.source) or self.kind in _MEDIA:
            return False
        return self.place != _HAND_MOUNTED and not self.place.startswith(f"{_HAND_MOUNTED}/")


def judge(mounts: str) -> Verdict:
    """Judge by the text of /proc/mounts (proc_pid_mounts(5)).

    A root file system in memory is not enough: of image-based systems (composefs) and of containers it is
    an overlay, too. But these have file systems on disks beside it.
    """
    found = list(_mounts(mounts))
    root = next((mount for mount in reversed(found) if mount.place == "/"), None)
    if root is None:
        return Verdict(rescue=False, reason="what its root file system is can not be told")
    if root.kind not in RESCUE_ROOTS:
        return Verdict(rescue=False, reason=f"its root file system is {root.kind} on {root.source}")
    disk = next((mount for mount in found if mount.is_of_a_disk), None)
    if disk is not None:
        return Verdict(
            rescue=False,
            reason=f"its root file system is {root.kind}, but {disk.place} is {disk.kind} on {disk.source}",
        )
    return Verdict(rescue=True, reason=f"its root file system is {root.kind}")


def _mounts(text: str) -> Iterator[_Mount]:
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 6:
            yield _Mount(source=fields[0], place=fields[1], kind=fields[2])
