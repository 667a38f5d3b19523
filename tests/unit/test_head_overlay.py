"""What is written over a reader is read again, and the reader stays as it is."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioning.byte_access import BytesReader
from partitioning.errors import DiskWriteError
from partitioning.head_overlay import LIMIT, HeadOverlay

SIZE = 5 * 4096 + 512
CONTENT = random.Random(1).randbytes(SIZE)
OFFSETS = st.integers(0, SIZE) | st.integers(4090, 4100) | st.integers(SIZE - 520, SIZE)


@given(
    st.integers(0, 3 * 4096 + 100),
    st.lists(st.tuples(OFFSETS, st.binary(max_size=40) | st.just(b"x" * 9000)), max_size=8),
    st.lists(st.tuples(OFFSETS, st.integers(0, 9000)), max_size=8),
)
def test_it_reads_as_if_it_had_been_written(
    more: int, writes: list[tuple[int, bytes]], reads: list[tuple[int, int]]
) -> None:
    model = bytearray(CONTENT + bytes(more))
    overlay = HeadOverlay(BytesReader(CONTENT), size=len(model))
    for offset, data in writes:
        if offset + len(data) <= len(model):
            overlay.pwrite(data, offset)
            model[offset : offset + len(data)] = data
    for offset, length in reads:
        if offset + length <= len(model):
            assert overlay.pread(length, offset) == model[offset : offset + length]
    assert overlay.pread(len(model), 0) == model


def test_the_size_is_that_of_the_reader_unless_told() -> None:
    assert HeadOverlay(BytesReader(CONTENT)).size == SIZE
    assert HeadOverlay(BytesReader(CONTENT), size=SIZE + 1).size == SIZE + 1


@pytest.mark.parametrize(("length", "offset"), [(1, SIZE), (2, SIZE - 1), (4, -4), (8, -4), (SIZE + 1, 0)])
def test_outside_of_it(length: int, offset: int) -> None:
    overlay = HeadOverlay(BytesReader(CONTENT))
    with pytest.raises(EOFError):
        overlay.pread(length, offset)
    with pytest.raises(DiskWriteError, match="in memory"):
        overlay.pwrite(bytes(length), offset)
    assert overlay.pread(SIZE, 0) == CONTENT


class Endless:
    """An enormous disk of zeroes."""

    size = 1 << 60

    def pread(self, length: int, offset: int) -> bytes:
        return bytes(length)


def test_what_is_kept_is_bounded() -> None:
    overlay = HeadOverlay(Endless())
    for number in range(LIMIT // 4096):
        overlay.pwrite(b"x", number << 32)
    overlay.pwrite(b"y", 100)
    with pytest.raises(DiskWriteError) as error:
        overlay.pwrite(b"x", 4096)
    assert str(LIMIT) in error.value.detail
    assert overlay.pread(1, 1 << 32) == b"x"
    assert overlay.pread(2, 99) == b"\0y"
