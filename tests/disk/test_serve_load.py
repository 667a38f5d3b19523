"""Slow and greedy clients: nobody else waits for them, and a deployment that runs does not notice."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from agent.serve.connection import HEAD_PATIENCE
from tests.misbehaving_server import wait_until
from tests.serve_load import SLOW, answer_times, compare, load, ratio
from tests.serve_process import Server, serving

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "run") as server:
        yield server


def test_a_deployment_is_not_slowed(tmp_path: Path) -> None:
    for number in range(3):  # a machine that does something else meanwhile proves nothing
        folder = tmp_path / str(number)
        folder.mkdir()
        found = compare(folder, 2)
        ratios = {what: ratio(found, what) for what in ("wall", "cpu")}
        if max(ratios.values()) <= 1.05:
            return
    pytest.fail(f"{ratios}: {found}")


def test_others_are_answered(running: Server) -> None:
    with load(running, SLOW):
        assert max(answer_times(running)) < 1
        assert running.call("GET").status_code == 404


def test_who_says_nothing_is_let_go(running: Server) -> None:
    with ExitStack() as stack:
        started = time.monotonic()
        silent = stack.enter_context(connected(running))
        halfway = stack.enter_context(connected(running))
        halfway.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        after_one = stack.enter_context(connected(running))
        after_one.sendall(b"GET /1.0/auth/time HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET ")
        assert after_one.recv(12) == b"HTTP/1.1 200"
        for connection in (silent, halfway, after_one):
            assert ended(connection)
        assert time.monotonic() - started < HEAD_PATIENCE + 5


def test_the_oldest_that_say_nothing_make_room(tmp_path: Path) -> None:
    """With 300 files there is room for 100 connections."""
    with serving(tmp_path / "run", before=("prlimit", "--nofile=300:300")) as running, ExitStack() as stack:
        started = time.monotonic()
        connections = [stack.enter_context(connected(running)) for _ in range(250)]
        assert max(answer_times(running)) < 1
        assert ended(connections[0])
        assert time.monotonic() - started < HEAD_PATIENCE
        connections[-1].sendall(b"GET /1.0/auth/time HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connections[-1].recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(
    "sent",
    [
        b"HELO\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 200_000,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_no_http_is_a_json_error(running: Server, sent: bytes) -> None:
    with connected(running) as connection:
        connection.sendall(sent)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b'"errorCode": "BAD_REQUEST"' in answer


def test_no_more_bodies_are_held_than_there_is_memory_for(running: Server) -> None:
    head = (
        f"POST /1.0{running.path()} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Content-Length: 1000\r\n\r\n{"
    ).encode()
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connected(running)).sendall(head)
        wait_until(lambda: running.call("POST", data=b"{}", headers=JSON).status_code == 429)
        refused = running.call("POST", data=b"{}", headers=JSON)
        assert (refused.json()["errorCode"], refused.headers["Retry-After"]) == ("TOO_MANY_CALLS", "5")
        assert running.call("GET").status_code == 404
    wait_until(lambda: running.call("POST", data=b"{}", headers=JSON).status_code == 400)


@contextmanager
def connected(running: Server) -> Iterator[socket.socket]:
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        yield connection


def ended(connection: socket.socket) -> bool:
    """Wait until the other end has closed it."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True
