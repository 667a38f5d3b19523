"""The test bed's cache: what is asked for is whole, and stays for as long as a run may use it."""

import os
from pathlib import Path

from testbed.cache import IN_USE_SECONDS, KEPT_ENTRIES, Cache, content_key


def built(cache: Cache, number: int) -> Path:
    key = content_key(str(number))
    return cache.get_or_build("thing", key, lambda target: target.joinpath("made").touch())


def test_what_was_asked_for_lately_stays(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    entries = [built(cache, number) for number in range(KEPT_ENTRIES + 3)]
    assert all((entry / "made").exists() for entry in entries)


def test_what_nobody_has_asked_for_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    entries = [built(cache, number) for number in range(KEPT_ENTRIES + 1)]
    for entry in entries:
        old = entry.stat().st_mtime - IN_USE_SECONDS - 60
        os.utime(entry, (old, old))
    new = built(cache, 99)
    assert new.is_dir()
    assert len([entry for entry in entries if entry.is_dir()]) == KEPT_ENTRIES - 1


def test_what_is_not_whole_is_built_anew(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (tmp_path / ".thing.unfinished-x").mkdir()
    assert (built(cache, 1) / "made").exists()
    assert not (tmp_path / ".thing.unfinished-x").exists()
