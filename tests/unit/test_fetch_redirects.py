"""Redirects: followed to a limit, never to a less safe place, never with what only the first host may see."""

import contextlib
from collections.abc import Iterator

import pytest

from agent.fetch.errors import FetchFailed
from agent.fetch.source import Source
from tests.misbehaving_server import MisbehavingServer, Raw, Redirect, Serve, head
from tests.unit.test_fetch_common import BODY, fetch

BASIC = "Basic dXNlcjpwQHNz"  # user:p@ss


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as it:
        yield it


@pytest.fixture
def other() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as it:
        yield it


def secret_source(server: MisbehavingServer, path: str = "/start?sig=SECRET") -> Source:
    url = server.url(path, user_info="user:p%40ss")
    return Source(url=url, headers=(("X-Token", "SECRET"), ("Cookie", "SECRET=1")), trust_env=False)


def failure(source: str | Source) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        fetch(source)
    return caught.value


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_each_kind_of_redirect(server: MisbehavingServer, status: int) -> None:
    server.on("/start", Redirect("/image?sig=SECRET", status))
    server.on("/image", Serve(BODY))
    fetched = fetch(server.url("/start"))
    assert fetched.data == BODY


def test_ten_redirects_are_followed_and_eleven_are_not(server: MisbehavingServer) -> None:
    for step in range(11):
        server.on(f"/{step}", Redirect(f"{step + 1}"))
    server.on("/11", Serve(BODY))
    assert fetch(server.url("/1")).data == BODY
    assert "more than 10 times" in failure(server.url("/0")).detail


def test_a_loop_ends(server: MisbehavingServer) -> None:
    error = failure(server.on("/start", Redirect("/start")))
    assert error.attempts == 1
    assert len(server.seen("/start")) == 11


def test_secrets_go_to_the_host_in_the_url(server: MisbehavingServer) -> None:
    server.on("/start", Redirect("/image"))
    server.on("/image", Serve(BODY))
    fetch(secret_source(server))
    for path in ("/start", "/image"):
        [request] = server.seen(path)
        assert request.headers["Authorization"] == BASIC
        assert request.headers["X-Token"] == "SECRET"
        assert request.headers["Cookie"] == "SECRET=1"


@pytest.mark.parametrize("status", [301, 307])
def test_secrets_do_not_go_to_another_host(
    server: MisbehavingServer, other: MisbehavingServer, status: int
) -> None:
    server.on("/start", Redirect(other.url("/image"), status))
    other.on("/image", Serve(BODY, cut_after=10, etag='"a"'), Serve(BODY, etag='"a"'))
    assert fetch(secret_source(server)).data == BODY
    assert len(other.seen("/image")) == 2
    for request in other.seen("/image"):
        assert "SECRET" not in str(request.headers)
        assert request.headers["Authorization"] is None
    assert server.seen("/start")[1].headers["Range"] == "bytes=10-"
    assert other.seen("/image")[1].headers["Range"] == "bytes=10-"


def test_another_host_may_name_credentials_of_its_own(
    server: MisbehavingServer, other: MisbehavingServer
) -> None:
    server.on("/start", Redirect(other.url("/image", user_info="user:p%40ss")))
    other.on("/image", Serve(BODY))
    fetch(server.url("/start"))
    assert other.seen("/image")[0].headers["Authorization"] == BASIC


@pytest.mark.parametrize(
    "trick", ["http://127.0.0.1:{own}\\@127.0.0.1:{other}/image", "//127.0.0.1:{other}/image"]
)
def test_a_tricky_location_does_not_get_secrets(
    server: MisbehavingServer, other: MisbehavingServer, trick: str
) -> None:
    server.on("/start", Redirect(trick.format(own=server.port, other=other.port)))
    other.on("/image", Serve(BODY))
    with contextlib.suppress(FetchFailed):
        fetch(secret_source(server))
    assert all("SECRET" not in str(request.headers) for request in other.seen("/image"))


def test_a_refusal_by_another_host_explains_itself(
    server: MisbehavingServer, other: MisbehavingServer
) -> None:
    server.on("/start", Redirect(other.on("/image", Serve(status=403))))
    error = failure(secret_source(server))
    assert "httpHeader is never sent" in error.detail
    assert "SECRET" not in str(error)
    assert "httpHeader is never sent" not in failure(server.url("/start")).detail


@pytest.mark.parametrize(
    "location",
    [
        "ftp://127.0.0.1/image?SECRET",
        "file:///etc/SECRET",
        "http:",
        "http://[::1/SECRET",
        "javascript:SECRET",
        "\xff",
    ],
)
def test_a_redirect_to_something_else_is_final(server: MisbehavingServer, location: str) -> None:
    error = failure(server.on("/start", Redirect(location)))
    assert error.attempts == 1
    assert "SECRET" not in str(error)


def test_a_redirect_without_a_place_is_final(server: MisbehavingServer) -> None:
    error = failure(server.on("/start", Raw(head(302, {"Content-Length": "0"}))))
    assert error.status == 302


def test_a_place_in_utf_8(server: MisbehavingServer) -> None:
    server.on("/start", Redirect("/bild-ä".encode().decode("latin-1")))
    server.on("/bild-%C3%A4", Serve(BODY))
    assert fetch(server.url("/start")).data == BODY


def test_headers_of_the_customer(server: MisbehavingServer) -> None:
    url = server.on("/image", Serve(BODY))
    own = (
        ("authorization", "Bearer mine"),
        ("User-Agent", "theirs/1"),
        ("X-Name", "zwölf"),
        ("X-Twice", "a"),
        ("X-Twice", "b"),
        ("Range", "bytes=5-"),
        ("accept-encoding", "gzip"),
        ("Content-Length", "5"),
    )
    credentials = url.replace("//", "//user:password@")
    assert fetch(Source(url=credentials, headers=own, trust_env=False)).data == BODY
    [request] = server.seen("/image")
    assert request.headers.get_all("Authorization") == ["Bearer mine"]
    assert request.headers["User-Agent"] == "theirs/1"
    assert request.headers["X-Name"].encode("latin-1") == "zwölf".encode()
    assert request.headers["X-Twice"] == "a, b"
    assert request.headers["Range"] is None
    assert request.headers.get_all("Accept-Encoding") == ["identity"]
    assert request.headers["Content-Length"] is None


@pytest.mark.parametrize(
    "header", [("X-Token", "SECRET\r\nX-Evil: 1"), ("X\nY", "SECRET"), ("Ä", "SECRET"), ("", "SECRET")]
)
def test_a_header_that_can_not_be_sent_is_final(server: MisbehavingServer, header: tuple[str, str]) -> None:
    error = failure(Source(url=server.on("/image", Serve(BODY)), headers=(header,), trust_env=False))
    assert error.attempts == 1
    assert "SECRET" not in f"{error} {error.detail} {error.hint}"
    assert "httpHeader" in error.hint


def test_a_netrc_does_not_replace_the_customers_credentials(
    server: MisbehavingServer, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(netrc.parent))
    url = server.on("/image", Serve(BODY))
    fetch(Source(url=url, headers=(("Authorization", "Bearer mine"),)))
    assert server.seen("/image")[0].headers["Authorization"] == "Bearer mine"
