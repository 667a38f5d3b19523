"""What GRUB would see in an image: its file systems, also on LVM and md, and the menu it would show.

grub-fstest (grub-common) reads an image with GRUB's own drivers, so what it finds is what the loader finds at
boot. An image may be hostile and these drivers have had holes: it runs as nobody, without capabilities and
with limits on memory and time, and what it prints is bounded.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from partitioning.command import CommandFailed, CommandTimedOut, Limits, OutputTooLong, as_nobody, run

TOOL = "grub-fstest"

_LIMITS = Limits(address_space=1 << 30, cpu_seconds=30)
_TIMEOUT = 60.0
_MOST_PLACES = 64
_MOST_SECONDS = 180.0
_MOST_PRINTED = 4 << 20
# Of 512 bytes: enough for the superblock of Btrfs, the farthest from the beginning.
_BEGINNING_BLOCKS = 136
# grub-mkconfig writes grub.cfg: on a separate /boot the path has no /boot, and Red Hat's directory is grub2.
_DIRECTORIES = ("/boot/grub", "/boot/grub2", "/grub", "/grub2")
# GRUB sees Btrfs from its top level, and / of the system is a subvolume: Ubuntu's, Debian's, Fedora's. Not
# openSUSE's: the paths in its menus are as its own GRUB reads them, from the default subvolume.
_BTRFS_DIRECTORIES = (*_DIRECTORIES, "/@/boot/grub", "/@rootfs/boot/grub", "/root/boot/grub2")
# What follows the type begins with a dash or, where there is neither a label nor a time, with a comma.
_DEVICE = re.compile(
    r"^\t?(?:Device|Partition) ([^:\s]{1,200}): Filesystem type ([^\s,]{1,30})(?: |, |$)(.*)$", re.ASCII
)
# Of blanks only: with line ends among them, a text of nothing else would take hours.
_ENTRY = re.compile(r"^[ \t]*(?:menuentry|submenu)[ \t]", re.MULTILINE)
_STARTS = re.compile(r"^[ \t]*(?:linux(?:16|efi)?|chainloader)[ \t]", re.MULTILINE)
_UUID = re.compile(r"UUID ([0-9A-Fa-f-]{4,40})")
_Look = TypeVar("_Look")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrubFileSystem:
    """A file system as GRUB names it (``lvm/vg-root``); ``uuid`` is what ``search --fs-uuid`` takes."""

    device: str
    kind: str
    uuid: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrubMenu:
    """A grub.cfg of the image: where it is, and its text, which may hold passwords."""

    file_system: GrubFileSystem
    directory: str
    text: str = field(repr=False)

    @property
    def has_entries(self) -> bool:
        """Tell whether it has entries of its own that start something, and does not leave them to BLS files.

        Menus of the latter kind have an entry for the firmware's setup all the same.
        """
        return bool(_ENTRY.search(self.text) and _STARTS.search(self.text))


def file_systems(fd: int) -> list[GrubFileSystem]:
    """Give the file systems in the raw image that is open on ``fd``. Raises CommandError."""
    printed = _fstest(fd, "ls", "--", "-l").decode(errors="replace")
    found = (_DEVICE.match(line) for line in printed.splitlines())
    shown = [_file_system(match) for match in found if match is not None]
    return [system for system in shown if system.device not in ("proc", "host")][:_MOST_PLACES]


def in_time(looks: list[_Look]) -> Iterator[_Look]:
    """Yield what is to be looked at one by one, for as long as that is reasonable. Raises CommandTimedOut."""
    end = time.monotonic() + _MOST_SECONDS
    for look in looks:
        if time.monotonic() > end:
            raise CommandTimedOut(
                "Looking into the image's file systems takes too long.",
                detail=f"After {_MOST_SECONDS:.0f} s not all of them had been looked into.",
                hint="Make the image with fewer file systems, or look at it with grub-fstest.",
            )
        yield look


def menus(fd: int, systems: list[GrubFileSystem]) -> Iterator[GrubMenu]:
    """Yield each grub.cfg that stands where a distribution puts it. Raises CommandError."""
    # The time is looked at before each run of the tool: on a hostile file system every one may take long.
    for system, directory in in_time([(one, place) for one in systems for place in _directories(one)]):
        text = _content(fd, f"({system.device}){directory}/grub.cfg")
        if text is not None:
            yield GrubMenu(file_system=system, directory=directory, text=text)


def beginning(fd: int, system: GrubFileSystem) -> bytes:
    """Give the first 68 KiB of a file system. Raises CommandError."""
    return _fstest(fd, "cat", f"({system.device})0+{_BEGINNING_BLOCKS}")


def file_in(fd: int, system: GrubFileSystem, path: str, *, most: int) -> bytes:
    """Give the content of a file of at most ``most`` bytes. Raises CommandError."""
    return _fstest(fd, "cat", f"({system.device}){path}", most=most)


def _directories(system: GrubFileSystem) -> tuple[str, ...]:
    return _BTRFS_DIRECTORIES if system.kind == "btrfs" else _DIRECTORIES


def _file_system(match: re.Match[str]) -> GrubFileSystem:
    # A label stands before the UUID, and may say anything: the last one counts.
    uuids = _UUID.findall(match[3])
    return GrubFileSystem(device=match[1], kind=match[2], uuid=uuids[-1] if uuids else None)


def _content(fd: int, path: str) -> str | None:
    try:
        return _fstest(fd, "cat", path).decode(errors="replace")
    except (CommandFailed, OutputTooLong):
        return None


def _fstest(fd: int, *words: str, most: int = _MOST_PRINTED) -> bytes:
    argv = [*as_nobody(), TOOL, f"/proc/self/fd/{fd}", *words]
    return run(argv, timeout=_TIMEOUT, limits=_LIMITS, pass_fds=[fd], most_stdout=most).stdout
