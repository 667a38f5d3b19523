"""How much memory an image may take, so that the machine never runs out.

The room is what the kernel can give without swapping (MemAvailable, proc(5)) or what the memory
controllers above this process leave (memory.max and memory.high, "Control Group v2" in the kernel's
documentation), whichever is less, minus a reserve.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.fetch.errors import TooBigForMemory

RESERVE = 256 << 20
"""Bytes never given to an image, for what runs beside it and after it:

- 72 MiB writing: up to 8 pieces of 2 MiB, packed and unpacked, 2 MiB for each thread that writes past the
  cache, and a table of 2 MiB clusters (40 MiB).
- 56 MiB the agent's own growth: decompression, partition table, ConfigDrive.
- 128 MiB page cache in front of the disk and of the rescue system's own programs. With less, writing to the
  disk waits for every page, and tools are read again and again from the medium.

What the kernel keeps for itself is not in MemAvailable to begin with.
"""

_RECHECK = 16 << 20
_UNLIMITED = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryView:
    """Reads what the kernel says about memory; ``root`` stands for ``/``."""

    root: Path = Path("/")

    def available(self) -> int:
        """Return how many bytes this process could use now without anything being swapped or killed."""
        return min(self._system(), *self._control_groups(), _UNLIMITED)

    def _system(self) -> int:
        for line in (self.root / "proc/meminfo").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == "MemAvailable":
                return int(rest.split()[0]) * 1024
        raise ValueError("there is no MemAvailable in /proc/meminfo; the kernel is older than 3.14")

    def _control_groups(self) -> list[int]:
        top = self.root / "sys/fs/cgroup"
        group = top / self._own_group()
        return [_room(path) for path in (group, *group.parents) if path.is_relative_to(top)]

    def _own_group(self) -> str:
        try:
            lines = (self.root / "proc/self/cgroup").read_text().splitlines()
        except OSError:
            return ""
        # "0::" marks the unified hierarchy, cgroups(7); "/../.." is a group outside our namespace.
        paths = [line[3:] for line in lines if line.startswith("0::")]
        return paths[0].strip("/") if paths and ".." not in paths[0] else ""


def _room(group: Path) -> int:
    """Bytes that may be added to a control group; its file cache can be dropped and counts as free."""
    limit = min(_number(group / "memory.max"), _number(group / "memory.high"))
    if limit == _UNLIMITED:
        return _UNLIMITED
    return limit - _number(group / "memory.current") + _inactive_file(group / "memory.stat")


def _number(path: Path) -> int:
    try:
        text = path.read_text().strip()
    except OSError:  # the root group has none of these files
        return _UNLIMITED
    return _UNLIMITED if text == "max" else int(text)


def _inactive_file(path: Path) -> int:
    try:
        fields = dict(line.split() for line in path.read_text().splitlines())
    except OSError:
        return 0
    return int(fields.get("inactive_file", "0"))


class NoBudget:
    """For a spool that sees to its memory itself."""

    def require(self, size: int) -> None:
        """Say nothing."""

    def take(self, size: int) -> None:
        """Say nothing."""


class Budget(Protocol):
    """Decides whether an image, and each next piece of it, may be put into memory."""

    def require(self, size: int) -> None:
        """Make sure that ``size`` bytes (in all) fit. Raises TooBigForMemory."""
        ...

    def take(self, size: int) -> None:
        """Give room to the next ``size`` bytes. Raises TooBigForMemory."""
        ...


class MemoryBudget:
    """Decides whether an image, and each next piece of it, may be put into memory."""

    def __init__(
        self, view: MemoryView | None = None, *, reserve: int = RESERVE, recheck: int = _RECHECK
    ) -> None:
        """Look at memory through ``view``; all numbers are bytes; look again after every ``recheck``."""
        self._view = view or MemoryView()
        self._reserve = reserve
        self._recheck = recheck
        self._granted = 0

    def room(self) -> int:
        """Return how many bytes an image may take from now on; zero when there is no room."""
        return max(0, self._view.available() - self._reserve)

    def require(self, size: int) -> None:
        """Make sure that ``size`` bytes fit. Raises TooBigForMemory."""
        room = self.room()
        if size > room:
            raise TooBigForMemory(needed=size, available=room)

    def take(self, size: int) -> None:
        """Give room to the next ``size`` bytes; memory is looked at only now and then.

        Raises TooBigForMemory when something else has taken the memory meanwhile, or when the image is
        longer than anybody said.
        """
        if size > self._granted:
            self._granted = min(self.room(), max(self._recheck, size))
            if size > self._granted:
                raise TooBigForMemory(needed=size, available=self._granted)
        self._granted -= size
