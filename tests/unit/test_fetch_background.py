"""A download that is used while it comes, from servers that do not make it easy."""

import hashlib
import random
import time
from collections.abc import Iterator

import pytest

from agent.fetch.background import BackgroundDownload
from agent.fetch.digest import Checksum, ChecksumKind, Digest
from agent.fetch.errors import ChecksumMismatch, FetchFailed
from agent.fetch.retry import RetryPolicy
from agent.fetch.source import Source
from agent.fetch.stream_spool import Stopped, StreamSpool
from agent.images.errors import BadFormat
from tests.misbehaving_server import MisbehavingServer, Serve, wait_until

BODY = random.Random(1).randbytes(3_000_000)
OTHER = random.Random(2).randbytes(3_000_000)
WINDOW = 1 << 20
FAST = RetryPolicy(base_delay=0.01, max_delay=0.02, stall_timeout=5.0)


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture
def spool() -> Iterator[StreamSpool]:
    with StreamSpool(WINDOW) as it:
        yield it


def begun(url: str, spool: StreamSpool, *, expected: bytes | None = BODY) -> BackgroundDownload:
    digest = Digest(also=[ChecksumKind.SHA256])
    if expected is not None:
        digest = Digest(Checksum(ChecksumKind.SHA256, hashlib.sha256(expected).hexdigest()))
    return BackgroundDownload(Source(url=url), spool, digest=digest, policy=FAST, check=lambda _: None)


def drained(spool: StreamSpool) -> bytes:
    """Read all there is, in order, and give it back at once."""
    got, at = bytearray(), 0
    while (end := spool.come(at + 100_000)) > at:
        got += spool.pread(end - at, at)
        spool.release(at, end)
        at = end
    return bytes(got)


def test_a_file_larger_than_the_window(server: MisbehavingServer, spool: StreamSpool) -> None:
    download = begun(server.on("/image", Serve(BODY)), spool)
    assert drained(spool) == BODY
    result = download.result()
    assert (result.size, spool.size) == (len(BODY), len(BODY))


def test_it_goes_on_where_the_connection_was_lost(server: MisbehavingServer, spool: StreamSpool) -> None:
    url = server.on("/image", Serve(BODY, cut_after=1_200_000), Serve(BODY))
    download = begun(url, spool)
    assert drained(spool) == BODY
    download.result()
    notes: list[str] = []
    download.pass_on_notes(notes.append)
    assert "resuming" in notes[0]
    assert "Range" in server.seen("/image")[1].headers


def test_a_server_that_only_sends_from_the_beginning(server: MisbehavingServer, spool: StreamSpool) -> None:
    url = server.on(
        "/image",
        *(Serve(BODY, cut_after=cut, ranges=False) for cut in (1_200_000, 500_000)),
        Serve(BODY, ranges=False),
    )
    download = begun(url, spool)
    assert drained(spool) == BODY
    assert download.result().size == len(BODY)


@pytest.mark.parametrize("expected", [BODY, None])
def test_another_file_the_second_time(
    server: MisbehavingServer, spool: StreamSpool, expected: bytes | None
) -> None:
    url = server.on("/image", Serve(BODY, cut_after=1_200_000, ranges=False), Serve(OTHER, ranges=False))
    download = begun(url, spool, expected=expected)
    with pytest.raises(FetchFailed, match="what had come is used already"):
        drained(spool)
    with pytest.raises(FetchFailed):
        download.result()


def test_a_shorter_file_the_second_time(server: MisbehavingServer, spool: StreamSpool) -> None:
    again = [Serve(BODY[:500_000], ranges=False)] * 7
    url = server.on("/image", Serve(BODY, cut_after=1_200_000, ranges=False), *again)
    download = begun(url, spool, expected=None)
    with pytest.raises(FetchFailed, match="what had come is used already"):
        drained(spool)
    with pytest.raises(FetchFailed):
        download.result()


def test_a_second_answer_that_does_not_say_how_long_it_is(
    server: MisbehavingServer, spool: StreamSpool
) -> None:
    short = [Serve(BODY[:2_000_000], ranges=False, length="none")] * 7
    url = server.on("/image", Serve(BODY, cut_after=1_200_000, ranges=False), *short)
    download = begun(url, spool, expected=None)
    with pytest.raises(FetchFailed, match="ended after 2000000 of 3000000 bytes"):
        drained(spool)
    with pytest.raises(FetchFailed):
        download.result()
    assert download.error is not None


def test_a_wrong_sum_is_told_at_the_end(server: MisbehavingServer, spool: StreamSpool) -> None:
    download = begun(server.on("/image", Serve(BODY)), spool, expected=OTHER)
    assert drained(spool) == BODY
    with pytest.raises(ChecksumMismatch):
        download.result()


def test_no_such_file(server: MisbehavingServer, spool: StreamSpool) -> None:
    download = begun(server.on("/image", Serve(b"", status=404)), spool)
    with pytest.raises(FetchFailed):
        spool.pread(1, 0)
    with pytest.raises(FetchFailed):
        download.result()


def test_what_the_first_bytes_show_ends_it(server: MisbehavingServer, spool: StreamSpool) -> None:
    def check(first: bytes) -> None:
        raise BadFormat(f"{len(first)} bytes of nothing.")

    url = server.on("/image", Serve(BODY))
    BackgroundDownload(Source(url=url), spool, digest=Digest(), policy=FAST, check=check)
    with pytest.raises(BadFormat, match="65536 bytes of nothing"):
        drained(spool)


def test_stopping_it(server: MisbehavingServer, spool: StreamSpool) -> None:
    download = begun(server.on("/image", Serve(BODY)), spool)
    wait_until(lambda: spool.arrived > WINDOW // 2)
    download.stop()
    with pytest.raises(Stopped):
        download.result()


def test_time_without_room_is_no_stall(server: MisbehavingServer, spool: StreamSpool) -> None:
    slow = RetryPolicy(base_delay=0.01, stall_timeout=2.0, min_speed=1e6, retries=0)
    url = server.on("/image", Serve(BODY))
    digest = Digest(also=[ChecksumKind.SHA256])
    download = BackgroundDownload(Source(url=url), spool, digest=digest, policy=slow, check=lambda _: None)
    wait_until(lambda: spool.arrived > WINDOW - 200_000)
    time.sleep(2.5)  # more than what is a stall, with nothing taken
    assert drained(spool) == BODY
    assert download.result().size == len(BODY)
