import mmap
import os
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.fetch.errors import ReadAgain, TooBigForMemory
from agent.fetch.spool import Spool


@pytest.fixture
def spool() -> Iterator[Spool]:
    with Spool() as it:
        yield it


@given(st.lists(st.binary(max_size=3000), max_size=8), st.data())
def test_holds_what_was_appended(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(pieces)
    with Spool() as spool:
        for piece in pieces:
            spool.append(piece)
        assert spool.size == len(whole)
        offset = data.draw(st.integers(0, len(whole)))
        length = data.draw(st.integers(0, len(whole) - offset))
        assert spool.pread(length, offset) == whole[offset : offset + length]


@pytest.mark.parametrize(("length", "offset"), [(1, 3), (4, 0), (1, -1), (-1, 0)])
def test_reading_what_is_not_there_is_an_error(spool: Spool, length: int, offset: int) -> None:
    spool.append(b"abc")
    with pytest.raises(EOFError):
        spool.pread(length, offset)


def test_truncated_bytes_are_gone_and_their_memory_too(spool: Spool) -> None:
    spool.append(bytes(1 << 20))
    spool.truncate(3)
    spool.append(b"xyz")
    assert spool.pread(6, 0) == bytes(3) + b"xyz"
    assert os.fstat(spool.fd).st_blocks * 512 <= 4096
    spool.truncate()
    assert spool.size == 0
    assert os.fstat(spool.fd).st_blocks == 0


@pytest.mark.parametrize("size", [-1, 4])
def test_truncating_does_not_make_bytes_up(spool: Spool, size: int) -> None:
    spool.append(b"abc")
    with pytest.raises(ValueError, match="not within"):
        spool.truncate(size)


def test_another_process_opens_it_only_when_it_is_passed_on(spool: Spool) -> None:
    spool.append(b"image bytes")
    command = ["cat", f"/proc/self/fd/{spool.fd}"]
    passed = subprocess.run(command, pass_fds=[spool.fd], capture_output=True, check=True)
    assert passed.stdout == b"image bytes"
    assert subprocess.run(command, close_fds=False, capture_output=True).returncode != 0


def test_closing_gives_the_descriptor_back() -> None:
    spool = Spool()
    number = spool.fd
    spool.close()
    spool.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_no_memory_is_an_explained_error(monkeypatch: pytest.MonkeyPatch, spool: Spool) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(TooBigForMemory):
        spool.append(b"abc")


PAGE = mmap.PAGESIZE


def held(spool: Spool) -> int:
    return os.fstat(spool.fd).st_blocks * 512


@given(st.permutations(range(16)), st.integers(0, 16))
def test_memory_is_given_back_page_by_page(order: list[int], count: int) -> None:
    part = PAGE // 2 + 100
    with Spool() as spool:
        spool.append(b"x" * (16 * part))
        gone = set[int]()
        for number in order[:count]:
            spool.release(number * part, (number + 1) * part)
            gone |= set(range(number * part, (number + 1) * part))
        pages = [range(at, min(at + PAGE, spool.size)) for at in range(0, spool.size, PAGE)]
        whole = [page for page in pages if len(page) == PAGE]
        kept = sum(not gone.issuperset(page) for page in whole) + len(pages) - len(whole)
        assert held(spool) == kept * PAGE
        for number in range(16):
            if number not in order[:count]:
                assert spool.pread(part, number * part) == b"x" * part


def test_what_was_given_back_is_not_read_as_zeroes(spool: Spool) -> None:
    spool.append(b"x" * (3 * PAGE))
    spool.release(100, 2 * PAGE)
    for length, offset in ((200, 0), (1, 100), (PAGE, PAGE), (2, 2 * PAGE - 1)):
        with pytest.raises(ReadAgain):
            spool.pread(length, offset)
        with pytest.raises(ReadAgain):
            spool.require(offset, offset + length)
    assert spool.pread(100, 0) == b"x" * 100
    assert spool.pread(PAGE, 2 * PAGE) == b"x" * PAGE
    assert spool.read_around(3 * PAGE, 0)[2 * PAGE :] == b"x" * PAGE
    with pytest.raises(EOFError):
        spool.read_around(1, 3 * PAGE)


def test_what_starts_again_can_be_read_again(spool: Spool) -> None:
    spool.append(b"x" * PAGE)
    spool.release(0, PAGE)
    spool.truncate()
    spool.append(b"y" * PAGE)
    assert spool.pread(PAGE, 0) == b"y" * PAGE


def test_giving_back_what_is_not_there(spool: Spool) -> None:
    spool.append(b"x" * 10)
    spool.release(10, 20)
    spool.release(5, 5)
    assert spool.pread(10, 0) == b"x" * 10
    spool.release(5, 20)
    assert spool.pread(5, 0) == b"x" * 5
