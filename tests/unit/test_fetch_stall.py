"""Every wait on a server ends, whatever it waits for."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.fetch.errors import FetchFailed
from agent.fetch.watchdog import Watchdog
from tests.misbehaving_server import Act, MisbehavingServer, Raw, Serve, head, wait_until
from tests.unit.test_fetch_common import BODY, QUICK, fetch

SHORT = replace(QUICK, retries=1, answer_timeout=0.1, stall_timeout=0.1, connect_timeout=0.1)


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as it:
        yield it


def test_a_silent_body_is_continued_elsewhere(server: MisbehavingServer) -> None:
    silent = Serve(BODY, etag='"a"', cut_after=1000, end="stall")
    policy = replace(QUICK, stall_timeout=0.3)
    fetched = fetch(server.on("/image", silent, replace(silent, cut_after=None, end="close")), policy=policy)
    assert fetched.data == BODY
    assert server.seen("/image")[1].headers["Range"] == "bytes=1000-"
    assert "stalled" in fetched.notes[0]


ENDLESS: dict[str, Act] = {
    "no answer": Raw(b"", end="stall"),
    "half a header": Raw(b"HTTP/1.1 200 OK\r\nContent-", end="stall"),
    "a header, a byte at a time": Raw(head(200, {"X-Padding": "x" * 9000}), drip=1, pause=0.01),
    "headers without end": Raw(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 90, drip=6, pause=0.03),
    "no body": Serve(BODY, cut_after=0, end="stall"),
    "no body of unknown length": Serve(BODY, length="none", cut_after=0, end="stall"),
    "a silent chunked body": Serve(BODY, chunked=True, cut_after=0, end="stall"),
    "a chunk's length, a byte at a time": Raw(
        head(200, {"Transfer-Encoding": "chunked"}) + b"5;" + b"x" * 9000, drip=80, pause=0.01
    ),
    "a redirect that drips": Raw(head(302, {"Location": "/" + "x" * 9000}), drip=1, pause=0.01),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_every_wait_ends(server: MisbehavingServer, name: str) -> None:
    started = time.monotonic()
    with pytest.raises(FetchFailed) as caught:
        fetch(server.on("/image", ENDLESS[name]), policy=SHORT)
    assert caught.value.attempts == 2
    assert any(word in caught.value.detail for word in ("in time", "stalled", "silent"))
    assert time.monotonic() - started < 20


def test_a_silent_body_of_unknown_length_is_not_a_whole_one(server: MisbehavingServer) -> None:
    """Shutting the connection down looks like the end of such a body."""
    policy = replace(QUICK, retries=1, stall_timeout=0.1)
    with pytest.raises(FetchFailed, match="stalled"):
        fetch(server.on("/image", Serve(BODY, length="none", cut_after=1000, end="stall")), policy=policy)


def test_a_drip_is_a_stall(server: MisbehavingServer) -> None:
    dripping = Serve(BODY, drip=10, pause=0.01)
    policy = replace(QUICK, retries=1, stall_timeout=0.1, min_speed=1_000_000)
    with pytest.raises(FetchFailed, match=r"stalled: \d+ bytes came in"):
        fetch(server.on("/image", dripping), policy=policy)


def test_a_slow_but_steady_body_is_not(server: MisbehavingServer) -> None:
    slow = Serve(BODY[:3000], drip=100, pause=0.01)
    begun = time.monotonic()
    fetched = fetch(server.on("/image", slow), policy=replace(QUICK, stall_timeout=0.1, min_speed=100))
    assert fetched.data == BODY[:3000]
    assert time.monotonic() - begun > 0.2


def test_a_dripping_body_is_reported_while_it_comes(server: MisbehavingServer) -> None:
    """A read that waits for a full buffer would show nothing before the end."""
    fetched = fetch(server.on("/image", Serve(BODY[:3000], drip=100, pause=0.01)))
    assert len(fetched.steps) > 2
    assert fetched.steps[0][0] < 1000


def test_a_handshake_that_never_ends(server: MisbehavingServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://127.0.0.1:{mute.getsockname()[1]}/image"
        with pytest.raises(FetchFailed) as caught:
            fetch(url, policy=SHORT)
    assert caught.value.attempts == 2


def test_a_connection_that_is_never_taken() -> None:
    """A full backlog: the kernel drops the SYN, as a firewall does."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = []
        with pytest.raises(TimeoutError):
            while True:  # until one is not taken any more
                waiting.append(socket.create_connection(address, timeout=0.3))
        with pytest.raises(FetchFailed, match="did not take the connection in time"):
            fetch(f"http://127.0.0.1:{address[1]}/image", policy=SHORT)
        for client in waiting:
            client.close()


def test_no_thread_is_left_behind(server: MisbehavingServer) -> None:
    fetch(server.on("/image", Serve(BODY)))
    with pytest.raises(FetchFailed):
        fetch(server.on("/gone", Serve(status=404)))
    assert not [thread for thread in threading.enumerate() if thread.name == "fetch-watchdog"]


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, two = socket.socketpair()
    with one, two:
        one.settimeout(5)
        yield one, two


def test_the_watchdog_ends_a_read(pair: tuple[socket.socket, socket.socket]) -> None:
    with Watchdog() as watchdog:
        watchdog.watch(pair[0])
        watchdog.arm(0.02)
        assert pair[0].recv(1) == b""
        assert watchdog.disarm()


def test_the_watchdog_can_be_called_off(pair: tuple[socket.socket, socket.socket]) -> None:
    with Watchdog() as watchdog:
        watchdog.watch(pair[0])
        watchdog.arm(0.02)
        assert not watchdog.disarm()
        time.sleep(0.05)
        pair[1].send(b"x")
        assert pair[0].recv(1) == b"x"


def test_the_watchdog_takes_a_shorter_time_while_it_waits_for_a_longer(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with Watchdog() as watchdog:
        watchdog.watch(pair[0])
        watchdog.arm(60)
        time.sleep(0.01)
        watchdog.arm(0.02)
        assert pair[0].recv(1) == b""


def test_the_watchdog_bites_a_connection_that_comes_too_late(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with Watchdog() as watchdog:
        watchdog.arm(0.01)
        wait_until(lambda: watchdog._bitten)
        watchdog.watch(pair[0])
        assert pair[0].recv(1) == b""
        assert watchdog.disarm()
