import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from agent.fetch.errors import ReadAgain, TooBigForMemory
from agent.fetch.stream_spool import UNKNOWN_SIZE, Stopped, StreamSpool
from tests.misbehaving_server import wait_until

KIB = 1 << 10
WINDOW = 64 * KIB


@pytest.fixture
def spool() -> Iterator[StreamSpool]:
    with StreamSpool(WINDOW) as it:
        yield it


@pytest.fixture
def other() -> Iterator[Callable[..., "Future[object]"]]:
    """Does something in another thread."""
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


def is_waiting(future: "Future[object]") -> bool:
    time.sleep(0.05)
    return not future.done()


def test_a_reader_waits_for_what_has_not_come(
    spool: StreamSpool, other: Callable[..., "Future[object]"]
) -> None:
    read = other(spool.pread, 10, 5)
    assert is_waiting(read)
    spool.append(b"0123456789")
    assert is_waiting(read)
    spool.append(b"abcdefghij")
    assert read.result(5) == b"56789abcde"


def test_a_reader_learns_where_the_file_ends(
    spool: StreamSpool, other: Callable[..., "Future[object]"]
) -> None:
    assert spool.size == UNKNOWN_SIZE
    read, come = other(spool.pread, 10, 5), other(spool.come, 15)
    spool.append(b"0123456789")
    assert is_waiting(read)
    spool.finish()
    with pytest.raises(EOFError):
        read.result(5)
    assert come.result(5) == 10
    assert (spool.size, spool.arrived) == (10, 10)


def test_nobody_waits_for_what_is_beyond_the_announced_end(spool: StreamSpool) -> None:
    spool.announce(10)
    assert spool.size == 10
    with pytest.raises(EOFError):
        spool.pread(1, 10)
    spool.append(bytes(10))
    assert spool.come(1000) == 10


def test_the_end_is_waited_for_like_all_else(
    spool: StreamSpool, other: Callable[..., "Future[object]"]
) -> None:
    spool.announce(10)
    come = other(spool.come, 15)
    spool.append(b"01234")
    assert is_waiting(come)
    spool.append(b"56789")
    assert come.result(5) == 10


def test_the_fetcher_waits_while_the_window_is_full(
    spool: StreamSpool, other: Callable[..., "Future[object]"]
) -> None:
    assert spool.append(bytes(WINDOW - 100)) < 1
    append = other(spool.append, bytes(200))
    assert is_waiting(append)
    spool.release(0, 99)
    assert is_waiting(append)
    spool.release(99, 100)
    waited = append.result(5)
    assert isinstance(waited, float)
    assert waited > 0.05
    assert spool.arrived == WINDOW + 100


def test_a_layout_that_needs_a_larger_window(
    spool: StreamSpool, other: Callable[..., "Future[object]"]
) -> None:
    spool.append(bytes(WINDOW))
    append = other(spool.append, b"more")
    with pytest.raises(TooBigForMemory) as caught:
        spool.pread(4, WINDOW)
    assert (caught.value.needed, caught.value.available) == (WINDOW + 4, WINDOW)
    # What is there can still be read, and used.
    assert spool.pread(4, 0) == bytes(4)
    spool.release(0, 4)
    append.result(5)
    assert spool.pread(4, WINDOW) == b"more"


def test_what_is_under_way_is_waited_for(spool: StreamSpool, other: Callable[..., "Future[object]"]) -> None:
    spool.append(bytes(WINDOW))
    spool.claim()
    append, read = other(spool.append, b"more"), other(spool.pread, 4, WINDOW)
    assert is_waiting(read)
    spool.release(0, KIB)
    spool.settle()
    append.result(5)
    assert read.result(5) == b"more"


def test_a_failure_is_raised_for_all_who_wait(
    spool: StreamSpool, other: Callable[..., "Future[object]"]
) -> None:
    spool.append(bytes(WINDOW))
    spool.claim()
    append, read = other(spool.append, b"more"), other(spool.pread, 1, WINDOW)
    assert is_waiting(read)
    spool.fail(ValueError("first"))
    spool.fail(KeyError("second"))
    for waiting in (append, read):
        with pytest.raises(ValueError, match="first"):
            waiting.result(5)
    assert spool.pread(1, 0) == b"\0"  # what has come is there


def test_what_was_given_back_is_not_read_again(spool: StreamSpool) -> None:
    spool.append(bytes(WINDOW))
    spool.release(0, KIB)
    with pytest.raises(ReadAgain):
        spool.pread(1, 0)


def test_it_can_not_be_emptied(spool: StreamSpool) -> None:
    spool.append(b"abc")
    assert not spool.can_start_again
    spool.truncate(3)
    with pytest.raises(ValueError, match="can not be cut"):
        spool.truncate(0)


def test_closing_ends_the_fetcher_first(other: Callable[..., "Future[object]"]) -> None:
    spool = StreamSpool(WINDOW)
    spool.append(bytes(WINDOW))
    append = other(spool.append, b"more")
    assert is_waiting(append)
    number = spool.fd
    spool.close()
    with pytest.raises(Stopped):
        append.result(5)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    with pytest.raises(Stopped):
        spool.append(b"more")


@pytest.mark.parametrize("seed", range(5))
def test_all_of_a_file_goes_through_a_small_window(seed: int) -> None:
    chance, content = random.Random(seed), random.Random(seed + 100).randbytes(40 * WINDOW + seed)
    most = [0]
    with StreamSpool(WINDOW) as spool:

        def fill() -> None:
            at = 0
            while at < len(content):
                piece = content[at : at + chance.randrange(1, 5000)]
                spool.append(piece)
                at += len(piece)
                most[0] = max(most[0], os.fstat(spool.fd).st_blocks * 512)
            spool.finish()

        thread = threading.Thread(target=fill)
        thread.start()
        got, at = bytearray(), 0
        while (end := spool.come(at + 7000)) > at:
            got += spool.pread(end - at, at)
            spool.release(at, end)
            at = end
        thread.join(5)
        wait_until(lambda: not thread.is_alive())
    assert bytes(got) == content
    assert most[0] <= WINDOW + 2 * 4096
