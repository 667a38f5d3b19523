"""Signatures, judged by the official client's own."""

from types import SimpleNamespace
from typing import Any

import ovh
import ovh.client
import pytest

from agent.serve.credentials import Keys
from agent.serve.signature import parse_timestamp, same, signature

KEYS = Keys.model_validate(
    {"applicationKey": "a" * 16, "applicationSecret": "b" * 32, "consumerKey": "c" * 32}
)


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("GET", "/a/b?c=d%20e&f", None),
        ("DELETE", "/a", None),
        ("POST", "/a", {"URL": "http://a/", "description": "Käse", "list": [1, {"b": None}]}),
    ],
)
def test_it_is_that_of_the_official_client(
    monkeypatch: pytest.MonkeyPatch, method: str, path: str, data: dict[str, Any] | None
) -> None:
    sent: list[tuple[str, str, dict[str, str], str]] = []

    def request(method: str, url: str, headers: dict[str, str], data: str, timeout: float) -> SimpleNamespace:
        sent.append((method, url, headers, data))
        return SimpleNamespace(status_code=200, json=lambda: 1_700_000_000)

    monkeypatch.setitem(ovh.client.ENDPOINTS, "here", "https://h.example:8080/1.0")
    client = ovh.Client("here", KEYS.application_key, KEYS.application_secret, KEYS.consumer_key)
    monkeypatch.setattr(client._session, "request", request)
    client.call(method, path, data)
    _, url, headers, body = sent[-1]
    assert headers["X-Ovh-Signature"] == signature(
        KEYS, method=method, url=url, body=body.encode(), timestamp=headers["X-Ovh-Timestamp"]
    )


def test_every_part_counts() -> None:
    def signed(keys: Keys = KEYS, **more: Any) -> str:
        parts = {"method": "GET", "url": "http://a/", "body": b"b", "timestamp": "1"}
        return signature(keys, **(parts | more))

    others = [
        signed(KEYS.model_copy(update={"application_secret": "d" * 32})),
        signed(KEYS.model_copy(update={"consumer_key": "d" * 32})),
        signed(method="POST"),
        signed(url="http://a/?"),
        signed(body=b"c"),
        signed(body=b"\xff"),
        signed(timestamp="2"),
    ]
    assert len({signed(), *others}) == 8


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1\n", "1.0", "1e3", "0x1", "\u0661", "9" * 12])
def test_what_is_no_timestamp(text: str) -> None:
    assert parse_timestamp(text) is None


def test_a_timestamp() -> None:
    assert parse_timestamp("1700000000") == 1_700_000_000


def test_comparing() -> None:
    assert same("a", "a")
    assert not same("a", "b")
    assert not same("", "a")
    assert not same("ä", "a")
    assert not same("\udcff", "a")
