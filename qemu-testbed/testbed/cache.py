"""A cache of built things, keyed by what they are built from.

An entry is a directory `NAME-KEY`. It is built under another name on the same file system and renamed when it
is complete, so what has an entry's name is whole. One lock per name keeps two runs from building the same
twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT_ENTRIES = 3

IN_USE_SECONDS = 2 * 3600.0
"""How long whoever has asked for an entry may go on using it: a whole test run is shorter."""

_KEY_DIGITS = 16


def cache_root() -> Path:
    """Where entries live: `$BYOI_CACHE`, or `byoi-agent` in the user's cache directory."""
    if chosen := os.environ.get("BYOI_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "byoi-agent"


def content_key(*inputs: str | bytes | Path) -> str:
    """Hash the inputs of a recipe: text as it is, files by content, directories by all they hold."""
    digest = hashlib.sha256()
    for item in inputs:
        for part in _parts(item):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()[:_KEY_DIGITS]


def _parts(item: str | bytes | Path) -> Iterator[bytes]:
    if isinstance(item, bytes):
        yield item
    elif isinstance(item, str):
        yield item.encode()
    elif item.is_dir():
        for path in sorted(item.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(item)).encode()
                yield oct(path.stat().st_mode & 0o777).encode()
                yield path.read_bytes()
    else:
        yield item.read_bytes()


class Cache:
    """The entries below one root directory."""

    def __init__(self, root: Path | None = None) -> None:
        """Use `root`, or the place that the environment names."""
        self.root = root or cache_root()
        self.root.mkdir(parents=True, exist_ok=True)

    def get_or_build(self, name: str, key: str, build: Callable[[Path], None]) -> Path:
        """Return the entry's directory; if there is none, `build` fills an empty one to become it."""
        entry = self.root / f"{name}-{key}"
        with self._lock(name):
            if not entry.is_dir():
                self._remove_unfinished(name)
                self._build(name, entry, build)
            os.utime(entry)
            self._prune(name)
        return entry

    def _build(self, name: str, entry: Path, build: Callable[[Path], None]) -> None:
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}.unfinished-", dir=self.root))
        try:
            unfinished.chmod(0o755)
            build(unfinished)
            unfinished.rename(entry)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise

    def _remove_unfinished(self, name: str) -> None:
        for leftover in self.root.glob(f".{name}.unfinished-*"):
            shutil.rmtree(leftover, ignore_errors=True)

    def _prune(self, name: str) -> None:
        """Remove old entries but those last used; the key's fixed length tells `a-KEY` from `a-b-KEY`."""
        pattern = f"{name}-" + "[0-9a-f]" * _KEY_DIGITS
        by_age = sorted(self.root.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in by_age[KEPT_ENTRIES:]:
            if old.stat().st_mtime < time.time() - IN_USE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        with (self.root / f".{name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
