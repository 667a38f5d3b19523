import json
from collections.abc import Callable

import pytest

from agent.boot_mode.take_request import Wanted, take_request, taken
from agent.errors import Refused, RequestError
from agent.fetch.retry import RetryPolicy
from tests.misbehaving_server import MisbehavingServer, Redirect, Serve, unused_port

REQUEST = {"URL": "http://images.example/a.qcow2", "type": "qcow2"}
TEXT = json.dumps(REQUEST).encode()


def quick(retries: int = 5, sleep: Callable[[float], None] = lambda _: None) -> RetryPolicy:
    return RetryPolicy(retries=retries, sleep=sleep, connect_timeout=2, answer_timeout=2, stall_timeout=2)


def no_word(_: str) -> None: ...


def test_the_request_is_what_the_url_gives() -> None:
    with MisbehavingServer() as server:
        url = server.on("/request", Serve(TEXT))
        assert take_request(url, "s3cret", no_word, quick()) == REQUEST
        (seen,) = server.seen("/request")
    assert seen.headers["Authorization"] == "Bearer s3cret"


def test_without_a_token_none_is_sent() -> None:
    with MisbehavingServer() as server:
        take_request(server.on("/request", Serve(TEXT)), None, no_word, quick())
        assert server.seen("/request")[0].headers["Authorization"] is None


def test_the_token_is_shown_to_no_other_host() -> None:
    with MisbehavingServer() as other, MisbehavingServer() as server:
        elsewhere = other.on("/request", Serve(TEXT)).replace("127.0.0.1", "localhost")
        url = server.on("/request", Redirect(elsewhere))
        assert take_request(url, "s3cret", no_word, quick()) == REQUEST
        assert other.seen("/request")[0].headers["Authorization"] is None


def test_it_is_asked_until_there_is_an_answer() -> None:
    said: list[str] = []
    with MisbehavingServer() as server:
        url = server.on("/request", Serve(status=503), Serve(TEXT, cut_after=5), Serve(TEXT))
        assert take_request(url, None, said.append, quick()) == REQUEST
    assert [line.rpartition(" Asking again in ")[0] for line in said] == [
        "No request yet: The server answered with HTTP 503 (Service Unavailable).",
        "No request yet: The connection was closed before the end.",
    ]


def test_it_is_asked_until_the_network_is_up() -> None:
    port = unused_port()
    waits: list[float] = []
    with pytest.raises(Refused, match="No request could be had") as refused:
        take_request(f"http://127.0.0.1:{port}/r?k=s3cret", None, no_word, quick(3, waits.append))
    assert len(waits) == 3
    assert "Connection refused" in refused.value.detail
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_answer_that_is_final_is_not_waited_out(status: int) -> None:
    with MisbehavingServer() as server:
        url = server.on("/request", Serve(status=status))
        with pytest.raises(Refused, match="No request could be had"):
            take_request(url, None, no_word, quick())
        assert len(server.seen("/request")) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"URL": 1, "URL": 2}'])
def test_what_is_no_request_is_not_one(body: bytes) -> None:
    with MisbehavingServer() as server, pytest.raises(RequestError):
        take_request(server.on("/request", Serve(body)), None, no_word, quick())


def test_an_endless_answer_is_no_request() -> None:
    wanted = Wanted(what="request", parameter="byoi.request", most_bytes=1000)
    with MisbehavingServer() as server:
        url = server.on("/request", Serve(bytes(1000)), Serve(bytes(1001)))
        assert taken(wanted, url, None, no_word, quick()) == bytes(1000)
        with pytest.raises(RequestError, match="too long"):
            taken(wanted, url, None, no_word, quick())
