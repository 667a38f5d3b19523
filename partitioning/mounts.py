"""What is mounted, and what is in use as swap: /proc/PID/mountinfo and /proc/swaps (see proc(5))."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from partitioning.sysfs import REAL, Roots, read_attribute

_OCTAL = re.compile(r"\\([0-7]{3})")
_LAYER_OPTIONS = frozenset({"lowerdir", "lowerdir+", "datadir+", "upperdir"})
_UNESCAPED_COLON = re.compile(r"(?<!\\):")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of mountinfo, unescaped but for ``super_options``, whose commas would become ambiguous."""

    devno: str
    mount_point: str
    fstype: str
    source: str
    super_options: str

    def layers(self) -> tuple[str, ...]:
        """Return the directories an overlay is made of, lower ones and the upper one."""
        if self.fstype != "overlay":
            return ()
        options = (option.partition("=") for option in self.super_options.split(","))
        lists = (unescape(value) for key, _, value in options if key in _LAYER_OPTIONS)
        parts = (part for paths in lists for part in _UNESCAPED_COLON.split(paths))
        return tuple(part.replace("\\:", ":") for part in parts if part)


def read_mounts(roots: Roots = REAL, *, process: str = "self") -> tuple[Mount, ...]:
    """Return what is mounted in the namespace of ``process``, in the order it was mounted."""
    text = read_attribute(roots.proc / process / "mountinfo") or ""
    return tuple(_parse_mount(line) for line in text.splitlines() if " - " in line)


def read_all_mounts(roots: Roots = REAL) -> tuple[Mount, ...]:
    """Return what this process sees mounted and what process 1 does: ours may be a namespace of its own."""
    return tuple(dict.fromkeys((*read_mounts(roots), *read_mounts(roots, process="1"))))


def read_swaps(roots: Roots = REAL) -> tuple[str, ...]:
    """Return the paths of the devices and files that are in use as swap."""
    lines = (read_attribute(roots.proc / "swaps") or "").splitlines()[1:]
    return tuple(unescape(line.split()[0]).removesuffix(" (deleted)") for line in lines if line.strip())


def mount_with(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """Return the mount ``path`` lies in: the deepest, and of several at one place the last."""
    wanted = PurePosixPath(path)
    best: Mount | None = None
    for mount in mounts:
        if wanted.is_relative_to(mount.mount_point) and (
            best is None or len(mount.mount_point) >= len(best.mount_point)
        ):
            best = mount
    return best


def unescape(text: str) -> str:
    r"""Undo the kernel's escapes: a blank is ``\040``, a backslash ``\134`` (seq_path in fs/seq_file.c)."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _parse_mount(line: str) -> Mount:
    left, _, right = line.partition(" - ")
    before, after = left.split(" "), right.split(" ")
    return Mount(
        devno=before[2],
        mount_point=unescape(before[4]),
        fstype=after[0],
        source=unescape(after[1]),
        super_options=after[2] if len(after) > 2 else "",
    )
