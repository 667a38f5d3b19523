from pathlib import Path

import pytest

from agent.writing.flush import flush
from partitioning.errors import DiskWriteError
from partitioning.flushing import OnProgress
from partitioning.open_disk import OpenDisk


class Disk(OpenDisk):
    """A disk whose flush tells of its progress, and may fail."""

    def __init__(self, error: DiskWriteError | None = None) -> None:
        super().__init__(Path("/dev/sda"), -1, size=512, sector_size=512, is_block_device=False)
        self.error = error

    def flush(self, on_progress: OnProgress | None = None) -> None:
        assert on_progress is not None
        on_progress(5, 7)
        if self.error:
            raise self.error


def test_progress() -> None:
    told: list[tuple[int, int]] = []
    flush(Disk(), lambda done, total: told.append((done, total)))
    assert told == [(5, 7)]


def test_an_error() -> None:
    error = DiskWriteError("m", detail="d", hint="h")
    with pytest.raises(DiskWriteError) as caught:
        flush(Disk(error), lambda *_: None)
    assert caught.value is error
