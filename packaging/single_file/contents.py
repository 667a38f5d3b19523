"""A directory with the unpacked contents: whether it is whole, and that it stays while it is used."""

import fcntl
import os
from pathlib import Path

LIST = ".contents"
"""The name of the list of all files, with their sizes in bytes: ``SIZE PATH``. It is written last."""


class Unusable(Exception):
    """A directory can not be used; its text says why."""


def in_use(directory: Path) -> bool:
    """Mark the directory as in use until this process ends; False where it is not there, or being removed."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    return lock(handle, fcntl.LOCK_SH)


def lock(handle: int, kind: int) -> bool:
    """Lock an open directory without waiting; False where somebody else has it."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks; nothing is removed there
        return kind == fcntl.LOCK_SH
    return True


def is_whole(directory: Path) -> bool:
    """Tell whether all files are there, each as long as it was. A power cut, or a clean-up, may take some."""
    try:
        lines = (directory / LIST).read_text().splitlines()
        sizes = (line.split(" ", 1) for line in lines)
        return bool(lines) and all((directory / path).lstat().st_size == int(size) for size, path in sizes)
    except (OSError, ValueError):
        return False
