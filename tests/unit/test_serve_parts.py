"""The smaller parts of the server: bodies, requests, addresses, what is watched."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from agent import run_lock
from agent.errors import Refused, RequestError
from agent.reporting import events, status_file
from agent.reporting.status_change import apply
from agent.request.parse import parse
from agent.run_directory import RunDirectory
from agent.serve import body as body_module
from agent.serve.answers import as_refusal
from agent.serve.body import read_json_text, refuse_body
from agent.serve.event_stream import events_between
from agent.serve.listening import Address, listen, parse_address
from agent.serve.posted_request import posted_request
from agent.serve.refusal import CallRefused
from agent.serve.threads import Threads
from agent.serve.view import status_view, text_lines
from agent.serve.watcher import Seen, Watcher, look
from agent.status import DiskStatus, Progress, Status, StepStatus
from tests.unit.test_request_common import SECRET

BASE = {"URL": "http://images.example/a.raw", "type": "raw"}
DOING = Status(
    servername="ns1",
    started_at="2026-01-01T00:00:00Z",
    steps=(
        StepStatus(name="disk", seconds=0.5),
        StepStatus(name="fetch", seconds=65),
        StepStatus(name="new"),
    ),
)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def posted(*pieces: bytes, stall: bool = False, cut: bool = False, **headers: str) -> Request:
    """A request whose body comes in pieces."""
    left = list(pieces)

    async def receive() -> dict[str, Any]:
        if left:
            piece = left.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(left) or stall or cut}
        if stall:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    given = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    scope = {"type": "http", "method": "POST", "headers": raw}
    receiving: Callable[[], Awaitable[dict[str, Any]]] = receive
    return Request(scope, receiving)


def refused(request: Request) -> int:
    with pytest.raises(CallRefused) as caught:
        run(read_json_text(request))
    return int(caught.value.status)


def test_a_body() -> None:
    assert run(read_json_text(posted(b'{"a"', b": 1}"))) == b'{"a": 1}'
    kind = "Application/JSON; charset=utf-8"
    assert run(read_json_text(posted(b"{}", content_type=kind))) == b"{}"


def test_a_body_that_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "MOST", 10)
    monkeypatch.setattr(body_module, "PATIENCE", 0.05)
    assert refused(posted(b"x" * 11)) == 413
    assert refused(posted(b"x" * 6, b"x" * 5)) == 413
    assert refused(posted(content_length="11")) == 413  # none of it is read
    assert refused(posted(b"x", stall=True)) == 408
    assert refused(posted(b"x", cut=True)) == 400
    assert refused(posted(b"x", content_type="text/json")) == 415
    assert refused(posted(b"x", content_encoding="gzip")) == 415


def test_where_there_is_nothing_to_say() -> None:
    refuse_body(posted(content_length="0"))
    for request in (posted(content_length="1"), posted(transfer_encoding="chunked")):
        with pytest.raises(CallRefused):
            refuse_body(request)


def test_a_request_becomes_one_for_this_server() -> None:
    given = {
        **BASE,
        "configdrive": {"enable": True, "userData": "\udcff\udc80ä"},
        "options": {"verify": True},
    }
    made = json.loads(posted_request(json.dumps(given).encode(), "ns1"))
    assert made["options"] == {"verify": True, "serviceName": "ns1", "reboot": True}
    assert {**made, "options": given["options"]} == given
    parse(made)


def test_it_does_not_become_longer_than_a_request_may_be() -> None:
    data = {**BASE, "configdrive": {"enable": True, "userMetadatas": [{"key": "k", "value": "é" * 100_000}]}}
    text = json.dumps(data, ensure_ascii=False).encode()
    assert len(posted_request(text, "ns1")) < len(text) + 200


@pytest.mark.parametrize(("given", "expected"), [(None, True), (True, True), (False, False)])
def test_the_reboot(given: bool | None, expected: bool) -> None:
    made = json.loads(posted_request(json.dumps({**BASE, "options": {"reboot": given}}).encode(), "ns1"))
    assert made["options"]["reboot"] is expected


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"URL": "file:///etc/shadow"}, "URL"),
        ({"URL": "file://localhost/etc/shadow"}, "URL"),
        ({"options": {"mirrors": ["http://a/", "file:///etc/shadow"]}}, "options.mirrors.1"),
        ({"options": {"serviceName": "other"}}, "options.serviceName"),
        ({"type": "iso"}, "Bad format image, expected : qcow2, raw."),
    ],
)
def test_what_may_not_be_asked_for(more: dict[str, Any], place: str) -> None:
    with pytest.raises(RequestError) as caught:
        posted_request(json.dumps(BASE | more).encode(), "ns1")
    assert place in caught.value.message


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]:0", "::1", 0),
        ("0.0.0.0:443", "0.0.0.0", 443),
        ("localhost:80", "127.0.0.1", 80),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_address(text) == Address(host=host, port=port)


@pytest.mark.parametrize(
    "text",
    ["", "8080", ":8080", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "[::1:1", "a@[::1]:1", "a..b:1"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(RequestError, match="byoi-agent serve"):
        parse_address(text)


def test_where_the_others_listen() -> None:
    address = Address(host="127.0.0.1", port=0)
    with listen(address) as first, pytest.raises(Refused, match="can not listen there"):
        listen(Address(host="127.0.0.1", port=first.getsockname()[1]))
    with pytest.raises(Refused):
        listen(Address(host="192.0.2.1", port=0))
    assert Address(host="::1", port=1).url("https") == "https://[::1]:1"


@pytest.fixture
def where(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def test_what_is_seen(where: RunDirectory) -> None:
    where.log.write_text("old\n")
    assert look(where) == Seen()
    status_file.write(where.status, DOING)
    lines = [f"{number} {'x' * 900}" for number in range(40)]
    where.log.write_bytes("\n".join(lines).encode() + b"\n\xff")
    with run_lock.hold(where.lock):
        seen = look(where)
    assert seen.status == DOING
    assert seen.log[-1] == "\ufffd"
    assert [line[:3] for line in seen.log[-3:-1]] == ["38 ", "39 "]
    assert max(map(len, seen.log)) <= 500
    assert not seen.log[0].startswith("x")
    where.status.write_text("{")
    assert "damaged" in str(look(where).problem)


def test_the_view() -> None:
    chosen = DOING.model_copy(
        update={
            "disk": DiskStatus(path="/dev/sda", model="M", serial=None, size=1 << 30),
            "progress": Progress(bytes_done=30, bytes_total=20),
        }
    )
    words = status_view(Seen(status=chosen))["words"]
    assert words["percent"] == 100
    assert words["disk"] == "/dev/sda, M, 1.0 GiB"
    assert words["diskState"] == "The disk /dev/sda was not changed."
    assert words["titles"] == {"disk": "Choosing the disk", "fetch": "Downloading the image", "new": "new"}
    assert words["seconds"] == {"fetch": "1 min 05 s"}
    assert status_view(Seen())["status"] is None
    assert text_lines(Seen(problem="It is damaged.")) == ["It is damaged."]
    assert text_lines(Seen(status=DOING))[0] == "ns1: doing: starting"


def test_what_a_listener_is_told() -> None:
    first = Seen(status=DOING, log=("a",))
    assert [name for name, _ in events_between(None, first)] == ["status", "log"]
    assert events_between(first, first) == []
    assert events_between(first, Seen(status=DOING, log=("b",))) == [("log", ["b"])]
    ended = Seen(status=apply(events.Finished(), DOING), log=("a",))
    assert [name for name, _ in events_between(first, ended)] == ["status"]


def test_the_watcher_looks_for_those_who_listen_only(where: RunDirectory) -> None:
    async def watch() -> None:
        threads = Threads()
        watcher = Watcher(where, threads)
        first = watcher.join()
        assert first is not None
        seen = watcher.changes(first, 5)
        assert await anext(seen) == Seen()
        status_file.write(where.status, apply(events.Finished(), DOING))
        changed = await anext(seen)
        assert changed is not None
        assert changed.status is not None
        late = watcher.join()
        assert late is not None
        assert await anext(watcher.changes(late, 5)) == changed
        assert await anext(watcher.changes(late, 0.01)) is None
        for listener in (first, late):
            watcher.leave(listener)
        assert watcher._looking is None
        watcher.close()
        assert watcher.join() is None
        threads.close()

    run(watch())


def test_an_error_that_nobody_foresaw_tells_no_secret() -> None:
    answer = as_refusal(ValueError(SECRET)).answer()
    assert answer["httpCode"] == "500 Internal Server Error"
    assert SECRET not in json.dumps(answer)
