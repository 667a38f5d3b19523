"""The loader that an image brings along on its EFI system partition.

In this order: the one that a vendor's BOOT*.CSV names; the one at the fallback path; one by a usual name in
any vendor's directory.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from agent.boot.boot_csv import NamedLoader, is_boot_csv, loaders_of
from partitioning.fat.file_system import FatEntry, FatFileSystem
from partitioning.uefi.names import BOOT_DIRECTORY, csv_names, fallback_path, runs_here, suffix
from partitioning.uefi.pe_image import PeMalformed
from partitioning.uefi.shim import is_shim

_EFI = "EFI"
_MOST_DIRECTORIES = 64
_MOST_CSV_BYTES = 64 << 10
_MOST_CANDIDATES = 512
_MOST_TOLD = 5
_MOST_SHIM = 4 << 20
_HEADERS = 4096


class Fallback(StrEnum):
    """What is at the fallback path."""

    READY = "a loader that starts"
    EMPTY = "nothing that this machine could start"
    STUCK = "a shim without what it starts"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLoader:
    """A loader; ``path`` separates with slashes, in the spelling that the file system has.

    ``starts_alone`` is False for a shim that has nothing beside it to start, and needs its arguments.
    """

    path: str
    arguments: str = ""
    """What it is started with, as a BOOT*.CSV says."""
    starts_alone: bool = True
    fallback: Fallback = Fallback.READY

    @property
    def directory(self) -> str:
        """The path of the directory it is in."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class _Candidate:
    path: str
    arguments: str = ""


def find_loader(volume: FatFileSystem, *, by_entry: bool = True) -> FoundLoader | None:
    """Find the loader for this machine; None where there is none. Raises FatError.

    It has to be a program for this machine, and a shim has to have what it starts. Without an entry
    (``by_entry``) firmware starts what is at the fallback path, without arguments: then that comes first.
    """
    for candidate in islice(_candidates(volume, by_entry=by_entry), _MOST_CANDIDATES):
        found = _look_at(volume, candidate)
        if found is not None and (found.starts_alone or (by_entry and found.arguments)):
            return replace(found, fallback=_fallback(volume))
    return None


def loader_at(volume: FatFileSystem, path: str) -> FoundLoader | None:
    """Give the loader at ``path``; None where there is no program for this machine. Raises FatError."""
    found = _look_at(volume, _Candidate(path))
    return found and replace(found, fallback=_fallback(volume))


def some_loaders(volume: FatFileSystem) -> tuple[str, ...]:
    """Give the paths of loaders in \\EFI, whatever machine they are for, as many as a text may name.

    Raises FatError.
    """
    found = (
        f"{directory}/{entry.name}"
        for directory in _directories(volume)
        for entry in volume.list(directory)
        if not entry.is_directory and entry.size and entry.name.lower().endswith(".efi")
    )
    return tuple(islice(found, _MOST_TOLD))


def _look_at(volume: FatFileSystem, candidate: _Candidate) -> FoundLoader | None:
    path = _program_at(volume, candidate.path)
    if path is None:
        return None
    return FoundLoader(path=path, arguments=candidate.arguments, starts_alone=_goes_on(volume, path))


def _fallback(volume: FatFileSystem) -> Fallback:
    path = _program_at(volume, fallback_path())
    if path is None:
        return Fallback.EMPTY
    return Fallback.READY if _goes_on(volume, path) else Fallback.STUCK


def _candidates(volume: FatFileSystem, *, by_entry: bool) -> Iterator[_Candidate]:
    if not by_entry:
        yield _Candidate(fallback_path())
    vendors = [path for path in _directories(volume) if path.upper() != BOOT_DIRECTORY]
    for directory in vendors:
        for named in _named_by_csv(volume, directory):
            yield _Candidate(f"{directory}/{named.name}", named.arguments)
    yield _Candidate(fallback_path())
    for name in _usual_names():
        for directory in vendors:
            yield _Candidate(f"{directory}/{name}")


def _usual_names() -> tuple[str, ...]:
    end = suffix()
    names = (f"shim{end}.efi", f"grub{end}.efi", f"systemd-boot{end}.efi", f"refind_{end}.efi")
    return *names, "Boot/bootmgfw.efi"


def _named_by_csv(volume: FatFileSystem, directory: str) -> list[NamedLoader]:
    # The one for this machine has the longer name, and comes before the one for all.
    listed = sorted(
        (entry for entry in volume.list(directory) if _is_csv(entry)), key=lambda one: -len(one.name)
    )
    return [
        named
        for entry in listed[: len(csv_names())]
        for named in loaders_of(volume.read(f"{directory}/{entry.name}", _MOST_CSV_BYTES))
    ]


def _is_csv(entry: FatEntry) -> bool:
    return not entry.is_directory and entry.size <= _MOST_CSV_BYTES and is_boot_csv(entry.name)


def _directories(volume: FatFileSystem) -> list[str]:
    top = volume.find(_EFI)
    if top is None or not top.is_directory:
        return []
    folders = [entry.name for entry in volume.list(_EFI) if entry.is_directory]
    return [f"{top.name}/{name}" for name in folders[:_MOST_DIRECTORIES]]


def _program_at(volume: FatFileSystem, path: str) -> str | None:
    """Give the path in the file system's own spelling, if there is a program for this machine."""
    found = volume.find(path)
    if found is None or found.is_directory or not runs_here(volume.read_start(path, _HEADERS)):
        return None
    return volume.spelled(path)


def _goes_on(volume: FatFileSystem, path: str) -> bool:
    """Tell whether a loader has what it starts: a shim wants a GRUB, or its fallback program, beside it."""
    directory = path.rpartition("/")[0]
    found = volume.find(path)
    if found is None or found.size > _MOST_SHIM or not is_known_shim(volume.read(path, _MOST_SHIM)):
        return True
    beside = {entry.name.lower() for entry in volume.list(directory)}
    return bool(beside & {f"grub{suffix()}.efi", "grub.efi", f"fb{suffix()}.efi"})


def is_known_shim(data: bytes) -> bool:
    """Tell whether it is a shim; what is no program at all is none."""
    try:
        return is_shim(data)
    except PeMalformed:
        return False
