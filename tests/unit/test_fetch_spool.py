import os
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.fetch.errors import TooBigForMemory
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
