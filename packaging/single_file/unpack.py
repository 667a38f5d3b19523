"""Unpacks the contents beside their place and moves them there when they are complete.

A start that is killed meanwhile leaves a directory of another name, which the next one removes. Of two that
unpack at once, one is first; the other one takes what that has left.
"""

import fcntl
import io
import os
import re
import shutil
import tarfile
import tempfile
import time
from pathlib import Path

from single_file.contents import LIST, Unusable, in_use, is_whole, lock

_UNFINISHED = ".unpacking-"
_NAME = re.compile(r"([0-9a-f]{16})-3\.\d+")
_TRIES = 10
_PATIENCE = 10.0
_POLL = 0.05


def unpack(base: Path, name: str, archives: list[bytes]) -> Path:
    """Unpack ``archives`` into the directory ``name`` of ``base``. Raises Unusable, OSError."""
    _remove_unfinished(base)
    for _ in range(_TRIES):
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=base))
        if not _taken(unfinished):  # another start was faster, and took it for one that was left behind
            continue
        try:
            _fill(unfinished, archives)
            if _move(unfinished, base / name):
                _remove_others(base, name)
                return base / name
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    raise Unusable("it is being used by other starts of this program")


def _taken(unfinished: Path) -> bool:
    """Mark the directory as in use until this process ends; False where somebody has just removed it."""
    return in_use(unfinished) and unfinished.is_dir()


def _fill(target: Path, archives: list[bytes]) -> None:
    sizes = [line for archive in archives for line in _extract(archive, target)]
    # After a power cut, the list may be there and a file not: so every start compares them.
    (target / LIST).write_text("".join(f"{line}\n" for line in sizes))


def _extract(archive: bytes, target: Path) -> list[str]:
    lines = []
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:xz") as packed:
        for member in packed:
            stream = packed.extractfile(member)
            if stream is None:
                raise Unusable(f"the single file is damaged: {member.name} is no regular file")
            path = target / member.name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(stream.read())
            path.chmod(0o600)
            lines.append(f"{member.size} {member.name}")
    return lines


def _move(unfinished: Path, directory: Path) -> bool:
    """Give the directory its name; tell whether it is there now, whoever has made it."""
    if directory.is_dir() and not is_whole(directory):
        _set_aside(directory)
    try:
        unfinished.rename(directory)
    except OSError:
        return in_use(directory) and is_whole(directory)
    return True


def _set_aside(damaged: Path) -> None:
    """Remove a directory in which something is missing.

    Only one start at a time may: to another one, what has just been put there whole would seem to be that.
    """
    handle = os.open(damaged.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        end = time.monotonic() + _PATIENCE
        while not lock(handle, fcntl.LOCK_EX):
            if time.monotonic() > end:
                raise Unusable("it is being used by other starts of this program")
            time.sleep(_POLL)
        if not is_whole(damaged):
            aside = tempfile.mkdtemp(prefix=_UNFINISHED, dir=damaged.parent)
            damaged.rename(aside)  # in the place of an empty directory
            shutil.rmtree(aside, ignore_errors=True)
    finally:
        os.close(handle)


def _remove_unfinished(base: Path) -> None:
    for left in base.glob(f"{_UNFINISHED}*"):
        _remove_unless_used(left)


def _remove_others(base: Path, name: str) -> None:
    """Remove the contents of other versions that nobody uses any more."""
    own = name.partition("-")[0]
    for other in base.iterdir():
        match = _NAME.fullmatch(other.name)
        if match and match[1] != own:
            _remove_unless_used(other)


def _remove_unless_used(directory: Path) -> None:
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if lock(handle, fcntl.LOCK_EX):
            shutil.rmtree(directory, ignore_errors=True)
    finally:
        os.close(handle)
