"""The directories a set of file paths implies, and which paths both file systems can carry unchanged."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from configdrive.errors import ConfigDriveError

ROOT = ""

# ISO 9660 level 3 allows 30 characters (ECMA-119, 7.5.1), less one for the dot that is added where there
# is none; Joliet allows 64, FAT 255. These characters mean nothing special to any of the three.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,28}(?<!\.)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory."""

    name: str
    path: str
    is_directory: bool


def directories(files: Iterable[str]) -> list[str]:
    """Give every directory above the files, parents first, without the root."""
    found = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    return sorted(found - {"."})


def entries(files: Iterable[str]) -> dict[str, list[Entry]]:
    """Give what each directory holds, by directory path, ROOT included, in the order of names.

    Raises ConfigDriveError for a path the file systems could not carry as it is.
    """
    names = list(files)
    folders = directories(names)
    _check(names, folders)
    table: dict[str, list[Entry]] = {folder: [] for folder in (ROOT, *folders)}
    for path in sorted({*names, *folders}):
        parent, _, name = path.rpartition("/")
        table[parent].append(Entry(name, path, path in table))
    return table


def _check(names: list[str], folders: list[str]) -> None:
    for path in names:
        if not all(_NAME.fullmatch(name) for name in path.split("/")):
            raise _unsuitable(f"{path!r} is not made of plain names of at most 29 letters, digits and '_-.'.")
    if len({_told_apart(path) for path in [*names, *folders]}) != len(names) + len(folders):
        raise _unsuitable("Two of the paths differ in upper and lower case or in punctuation only.")


def _told_apart(path: str) -> str:
    # What is left of a path in ISO 9660 without extensions; FAT takes no note of case either.
    return re.sub(r"[^a-z0-9/]", "_", path.lower())


def _unsuitable(why: str) -> ConfigDriveError:
    return ConfigDriveError(
        "A file name cannot stand on a ConfigDrive.", detail=why, hint="Give the file another name."
    )
