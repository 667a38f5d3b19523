"""Where the contents are unpacked to: a directory of this user alone, that programs may be loaded from.

Whoever can change what is in it, or can put another one in its place, can do all that this program can. So
nobody else may be able to write to it or to any directory that leads to it.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from single_file.contents import Unusable, in_use, is_whole

VARIABLE = "BYOI_AGENT_UNPACK_DIR"
"""Names another directory, as the only one to try."""

Archives = Callable[[], list[bytes]]


class Refused(Exception):
    """There is no directory that can be used."""

    def __init__(self, why: list[str]) -> None:
        """Say for each place that was tried in ``why`` what is wrong with it."""
        super().__init__(*why)
        self.message = "The single file can not be unpacked."
        self.detail = f"None of these directories can be used. {' '.join(why)}"
        self.hint = (
            "Name one that only you can write to, on a file system with 60 MB of room that is not mounted"
            f" noexec: {VARIABLE}=/root/byoi-agent-program"
        )


def unpacked(name: str, archives: Archives) -> Path:
    """Give the directory with the contents ``name``, which are unpacked from ``archives`` where they are not.

    It stays in use, so that no other start removes it, until this process ends. Raises Refused.
    """
    why = []
    for place in places():
        try:
            base = private(place)
            return _in_place(base, name, archives)
        except Unusable as error:
            why.append(f"{place}: {error}.")
        except OSError as error:
            why.append(f"{place}: {os.strerror(error.errno or 0)}.")
    raise Refused(why)


def places() -> list[Path]:
    """Give the directories to try, in this order."""
    if named := os.environ.get(VARIABLE):
        return [Path(named)]
    user = os.geteuid()
    own = Path("/var/cache/byoi-agent") if user == 0 else _cache_of_user() / "byoi-agent-program"
    return [own, *(Path(shared) / f"byoi-agent-{user}" for shared in ("/var/tmp", "/tmp", "/dev/shm"))]  # noqa: S108


def _cache_of_user() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    return Path(named) if named else Path(os.environ.get("HOME", "/nonexistent")) / ".cache"


def private(place: Path) -> Path:
    """Make the directory where it is not there, and give its path without links. Raises Unusable, OSError."""
    _make(place)
    directory = place.parent.resolve(strict=True) / place.name
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise Unusable("it is no directory")
    if found.st_uid != os.geteuid():
        raise Unusable("it belongs to somebody else")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise Unusable("others may use it; it has to have the mode 700")
    for parent in directory.parents:
        _require_safe(parent)
    if os.statvfs(directory).f_flag & os.ST_NOEXEC:
        raise Unusable("it is on a file system that is mounted noexec")
    return directory


def _make(place: Path) -> None:
    before = os.umask(0o077)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir(mode=0o700)
    except FileExistsError:
        pass
    finally:
        os.umask(before)


def _require_safe(parent: Path) -> None:
    """Make sure that nobody else can put something else in the place of what is in ``parent``."""
    found = parent.stat()
    if found.st_uid not in (0, os.geteuid()):
        raise Unusable(f"{parent} belongs to somebody else")
    # With the sticky bit, as on /tmp, everybody may add to it, and only the owner of an entry may replace it.
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise Unusable(f"others can write to {parent}")


def _in_place(base: Path, name: str, archives: Archives) -> Path:
    directory = base / name
    if in_use(directory) and is_whole(directory):
        return directory
    from single_file.unpack import unpack  # not needed at most starts

    return unpack(base, name, archives())
