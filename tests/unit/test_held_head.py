import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning.errors import DiskReadError, DiskWriteError
from partitioning.flushing import OnProgress
from partitioning.held_head import HEAD_SIZE, HeldHead
from partitioning.open_disk import OpenDisk, open_exclusively

SIZE = HEAD_SIZE + (64 << 10)
CONTENT = random.Random(1).randbytes(SIZE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "disk"
    found.write_bytes(CONTENT)
    return found


@pytest.fixture
def disk(path: Path) -> Iterator[OpenDisk]:
    with open_exclusively(path) as opened:
        yield opened


class Done(NamedTuple):
    """One thing that was done to the disk."""

    what: str
    offset: int = 0
    length: int = 0


class Watched(OpenDisk):
    """A disk that notes what is done to it, and fails at the step it is told to fail at."""

    def __init__(self, disk: OpenDisk, fail_at: int | None = None) -> None:
        super().__init__(
            disk.path, disk.fd, size=disk.size, sector_size=disk.sector_size, is_block_device=False
        )
        self.done: list[Done] = []
        self.fail_at = fail_at

    def _note(self, done: Done) -> None:
        if len(self.done) == self.fail_at:
            raise DiskWriteError("m", detail="d", hint="h")
        self.done.append(done)

    def pwrite(self, data: bytes, offset: int) -> None:
        self._note(Done("write", offset, len(data)))
        super().pwrite(data, offset)

    def zero(self, offset: int, length: int) -> None:
        self._note(Done("zero", offset, length))
        super().zero(offset, length)

    def flush(self, on_progress: OnProgress | None = None) -> None:
        self._note(Done("flush"))
        super().flush(on_progress)


def test_the_head_begins_as_zeroes(disk: OpenDisk) -> None:
    held = HeldHead(disk)
    assert HEAD_SIZE == 1 << 20
    assert (held.size, held.sector_size) == (SIZE, 512)
    assert held.pread(SIZE, 0) == bytes(HEAD_SIZE) + CONTENT[HEAD_SIZE:]


def test_the_head_stays_in_memory(disk: OpenDisk, path: Path) -> None:
    held = HeldHead(disk)
    held.pwrite(b"a" * HEAD_SIZE, 0)
    held.pwrite(b"bcde", HEAD_SIZE - 2)
    assert held.pread(6, HEAD_SIZE - 3) == b"abcde" + CONTENT[HEAD_SIZE + 2 :][:1]
    assert path.read_bytes() == CONTENT[:HEAD_SIZE] + b"de" + CONTENT[HEAD_SIZE + 2 :]


NEAR_THE_BORDER = st.integers(HEAD_SIZE - 20, HEAD_SIZE + 20)
OFFSETS = st.integers(0, 20) | NEAR_THE_BORDER | st.integers(SIZE - 40, SIZE - 30)
WRITES = st.lists(st.tuples(OFFSETS, st.binary(max_size=30)), max_size=12)


@settings(deadline=None, max_examples=60)
@given(WRITES, st.lists(st.tuples(OFFSETS, st.integers(0, 30)), max_size=12), st.booleans())
def test_it_reads_as_a_disk_that_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    writes: list[tuple[int, bytes]],
    reads: list[tuple[int, int]],
    commit: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / "held-as-a-model"
    path.write_bytes(CONTENT)
    model = bytearray(bytes(HEAD_SIZE) + CONTENT[HEAD_SIZE:])
    with open_exclusively(path) as disk:
        held = HeldHead(disk)
        for offset, data in writes:
            held.pwrite(data, offset)
            model[offset : offset + len(data)] = data
        for offset, length in reads:
            assert held.pread(length, offset) == model[offset : offset + length]
        assert held.pread(SIZE, 0) == model
        if commit:
            held.commit()
    on_disk = path.read_bytes()
    assert on_disk[HEAD_SIZE:] == model[HEAD_SIZE:]
    assert on_disk[:HEAD_SIZE] == (model[:HEAD_SIZE] if commit else CONTENT[:HEAD_SIZE])


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, HEAD_SIZE), (512, 1024), (HEAD_SIZE - 512, 1024), (HEAD_SIZE, 4096), (HEAD_SIZE + 512, 512), (9, 0)],
)
def test_zeroes_in_memory_and_on_the_disk(disk: OpenDisk, path: Path, offset: int, length: int) -> None:
    held = HeldHead(disk)
    held.pwrite(b"\xff" * HEAD_SIZE, 0)
    held.zero(offset, length)
    assert not any(held.pread(length, offset))
    head = bytearray(b"\xff" * HEAD_SIZE)
    head[offset : min(offset + length, HEAD_SIZE)] = bytes(max(0, min(length, HEAD_SIZE - offset)))
    assert held.pread(HEAD_SIZE, 0) == bytes(head)
    assert path.read_bytes()[:HEAD_SIZE] == CONTENT[:HEAD_SIZE]


@pytest.mark.parametrize(
    ("length", "offset"),
    [(1, SIZE), (2, SIZE - 1), (4, -4), (8, -4), (HEAD_SIZE + 8, -4), (SIZE + 1, 0)],
)
def test_outside_of_the_disk(disk: OpenDisk, path: Path, length: int, offset: int) -> None:
    held = HeldHead(disk)
    held.pwrite(b"a" * HEAD_SIZE, 0)
    with pytest.raises(DiskReadError):
        held.pread(length, offset)
    with pytest.raises(DiskWriteError):
        held.pwrite(bytes(length), offset)
    assert held.pread(SIZE, 0) == b"a" * HEAD_SIZE + CONTENT[HEAD_SIZE:]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("sector", [512, 4096])
def test_the_first_sector_goes_last(path: Path, sector: int) -> None:
    with open_exclusively(path, sector_size=sector) as disk:
        watched = Watched(disk)
        held = HeldHead(watched)
        held.pwrite(CONTENT[::-1][:HEAD_SIZE], 0)
        assert watched.done == []
        held.commit()
    assert watched.done == [
        Done("flush"),
        Done("write", sector, HEAD_SIZE - sector),
        Done("flush"),
        Done("write", 0, sector),
        Done("flush"),
    ]
    assert path.read_bytes() == CONTENT[::-1][:HEAD_SIZE] + CONTENT[HEAD_SIZE:]


@pytest.mark.parametrize("fail_at", range(4))
def test_until_the_last_write_the_first_sector_is_not_there(disk: OpenDisk, path: Path, fail_at: int) -> None:
    disk.zero(0, HEAD_SIZE)
    held = HeldHead(Watched(disk, fail_at))
    held.pwrite(b"a" * HEAD_SIZE, 0)
    with pytest.raises(DiskWriteError):
        held.commit()
    assert path.read_bytes()[:512] == bytes(512)


def test_a_head_that_is_withdrawn(disk: OpenDisk, path: Path) -> None:
    watched = Watched(disk)
    held = HeldHead(watched)
    held.pwrite(b"a" * HEAD_SIZE, 0)
    held.commit()
    watched.done.clear()
    held.withdraw()
    assert [done for done in watched.done if done.what != "write"] == [
        Done("zero", 0, HEAD_SIZE),
        Done("flush"),
    ]
    assert path.read_bytes() == bytes(HEAD_SIZE) + CONTENT[HEAD_SIZE:]


def test_a_disk_that_is_smaller_than_a_head(path: Path) -> None:
    path.write_bytes(CONTENT[:4096])
    with open_exclusively(path) as disk:
        held = HeldHead(disk)
        held.pwrite(b"a" * 4096, 0)
        with pytest.raises(DiskWriteError):
            held.pwrite(b"bb", 4095)
        assert held.pread(4096, 0) == b"a" * 4096
        held.commit()
        assert path.read_bytes() == b"a" * 4096
        held.withdraw()
    assert path.read_bytes() == bytes(4096)
