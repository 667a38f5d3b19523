import errno
import os
import threading
from pathlib import Path

import pytest

from agent.writing.flusher import Flusher
from partitioning.errors import DiskWriteError
from partitioning.open_disk import open_exclusively
from tests.misbehaving_server import wait_until
from tests.unit.test_images_common import MIB, file_of


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_it_flushes_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed, changed = list[int](), threading.Event()

    def flush(fd: int) -> None:
        flushed.append(fd)
        changed.set()

    monkeypatch.setattr(os, "fdatasync", flush)
    before = descriptors()
    with open_exclusively(file_of(tmp_path / "disk", MIB)) as disk, Flusher(disk) as flusher:
        flusher.written(63 * MIB)
        assert not changed.wait(0.05)
        flusher.written(MIB)
        assert changed.wait(10)
        changed.clear()
        flusher.written(64 * MIB)
        assert changed.wait(10)
        assert disk.fd not in flushed
    assert len(flushed) == 2
    assert descriptors() == before


def test_an_error_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "")

    monkeypatch.setattr(os, "fdatasync", fail)
    with open_exclusively(file_of(tmp_path / "disk", MIB)) as disk, Flusher(disk) as flusher:
        flusher.written(64 * MIB)
        wait_until(lambda: flusher._error is not None)
        with pytest.raises(DiskWriteError, match="at flush: Input/output error"):
            flusher.written(1)
