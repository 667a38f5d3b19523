import base64
import logging
import socket
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.fetch.errors import FetchFailed
from agent.fetch.session import _trusted
from agent.fetch.source import Source
from tests.misbehaving_server import (
    MisbehavingServer,
    Raw,
    Redirect,
    Serve,
    TinyProxy,
    head,
    make_authority,
    unused_port,
)
from tests.unit.test_fetch_common import BODY, QUICK, fetch


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ca") / "ca.pem"


@pytest.fixture(scope="module")
def secure(ca_file: Path) -> Iterator[MisbehavingServer]:
    _, context = make_authority(ca_file.parent)
    with MisbehavingServer(tls=context) as it:
        it.on("/image", Serve(BODY))
        yield it


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as it:
        it.on("/image", Serve(BODY))
        yield it


@pytest.fixture
def proxy() -> Iterator[TinyProxy]:
    with TinyProxy() as it:
        yield it


def failure(source: Source) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        fetch(source)
    return caught.value


def test_a_ca_file_is_trusted(secure: MisbehavingServer, ca_file: Path) -> None:
    assert fetch(Source(url=secure.url("/image"), ca_file=ca_file)).data == BODY


def test_a_ca_of_the_system_is_trusted(
    secure: MisbehavingServer, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    assert fetch(Source(url=secure.url("/image"))).data == BODY


def test_where_the_systems_certificates_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert _trusted(None) is True
    (tmp_path / "0123abcd.0").touch()
    assert _trusted(None) == str(tmp_path)


def test_an_unknown_certificate_is_final(secure: MisbehavingServer) -> None:
    error = failure(Source(url=secure.url("/image?SECRET")))
    assert error.attempts == 1
    assert "certificate is not trusted" in error.detail
    assert "caFile (--ca-file)" in error.hint
    assert "SECRET" not in str(error)


def test_a_certificate_for_another_name_is_final(tmp_path: Path) -> None:
    ca, context = make_authority(tmp_path, names="DNS:elsewhere.example")
    with MisbehavingServer(tls=context) as server:
        error = failure(Source(url=server.on("/image", Serve(BODY)), ca_file=ca))
    assert error.attempts == 1
    assert "not trusted" in error.detail


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_a_ca_file_that_is_none_is_final(
    secure: MisbehavingServer, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "some.pem"
    if content is not None:
        file.write_bytes(content)
    error = failure(Source(url=secure.url("/image"), ca_file=file))
    assert "CA file" in error.detail
    assert str(file) in error.detail


def test_https_to_a_server_without_tls_is_final(server: MisbehavingServer) -> None:
    server.on("/image", Raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    plain = server.url("/image").replace("http:", "https:")
    with MisbehavingServer() as talker:

        def answer(connection: socket.socket) -> None:
            connection.recv(65536)  # closed with something unread, the connection would be reset
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        talker.handle = answer  # type: ignore[method-assign]
        error = failure(Source(url=plain.replace(str(server.port), str(talker.port))))
    assert "TLS" in error.detail
    assert error.attempts == 1


def test_a_broken_encrypted_body_is_continued(secure: MisbehavingServer, ca_file: Path) -> None:
    url = secure.on("/cut", Serve(BODY, etag='"a"', cut_after=1000, end="reset"), Serve(BODY, etag='"a"'))
    assert fetch(Source(url=url, ca_file=ca_file)).data == BODY
    assert secure.seen("/cut")[1].headers["Range"] == "bytes=1000-"


def test_a_stall_in_an_encrypted_body_ends(secure: MisbehavingServer, ca_file: Path) -> None:
    url = secure.on("/stall", Serve(BODY, etag='"a"', cut_after=1000, end="stall"), Serve(BODY, etag='"a"'))
    fetched = fetch(Source(url=url, ca_file=ca_file), policy=replace(QUICK, stall_timeout=0.3))
    assert fetched.data == BODY
    assert "stalled" in fetched.notes[0]


def test_from_https_to_http_is_refused(
    secure: MisbehavingServer, ca_file: Path, server: MisbehavingServer
) -> None:
    url = secure.on("/down", Redirect(server.url("/image")))
    error = failure(Source(url=url, ca_file=ca_file))
    assert "from https to http" in error.detail
    assert error.attempts == 1
    assert server.seen("/image") == []


def test_from_http_to_https_is_fine(
    secure: MisbehavingServer, ca_file: Path, server: MisbehavingServer
) -> None:
    url = server.on("/up", Redirect(secure.url("/image")))
    assert fetch(Source(url=url, ca_file=ca_file)).data == BODY


def test_a_proxy_is_used(server: MisbehavingServer, proxy: TinyProxy) -> None:
    source = Source(url=server.url("/image"), proxy=f"http://127.0.0.1:{proxy.port}")
    assert fetch(source).data == BODY
    assert proxy.seen[0].target == server.url("/image")


def test_https_goes_through_a_tunnel(secure: MisbehavingServer, ca_file: Path, proxy: TinyProxy) -> None:
    headers = (("X-Token", "SECRET"),)
    source = Source(
        url=secure.url("/image"), headers=headers, ca_file=ca_file, proxy=f"http://127.0.0.1:{proxy.port}"
    )
    assert fetch(source).data == BODY
    [request] = proxy.seen
    assert (request.method, request.target) == ("CONNECT", f"127.0.0.1:{secure.port}")
    assert "SECRET" not in str(request.headers)


@pytest.mark.parametrize("trust_env", [True, False])
def test_the_environment_names_a_proxy(
    server: MisbehavingServer, proxy: TinyProxy, monkeypatch: pytest.MonkeyPatch, trust_env: bool
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    assert fetch(Source(url=server.url("/image"), trust_env=trust_env)).data == BODY
    assert len(proxy.seen) == trust_env


def test_the_environment_names_exceptions(
    server: MisbehavingServer, proxy: TinyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetch(Source(url=server.url("/image"))).data == BODY
    assert proxy.seen == []


def test_a_proxy_with_a_password(server: MisbehavingServer) -> None:
    wanted = "Basic " + base64.b64encode(b"user:SECRET").decode()
    with TinyProxy(authorization=wanted) as proxy:
        address = f"127.0.0.1:{proxy.port}"
        assert fetch(Source(url=server.url("/image"), proxy=f"http://user:SECRET@{address}")).data == BODY
        error = failure(Source(url=server.url("/image"), proxy=f"http://user:SECRETX@{address}"))
    assert error.status == 407
    assert error.attempts == 1
    assert "SECRET" not in str(error)
    assert "Authorization" not in server.seen("/image")[0].headers


def test_a_wait_behind_a_proxy_ends_too(server: MisbehavingServer, proxy: TinyProxy) -> None:
    url = server.on("/drip", Raw(head(200, {"X-Padding": "x" * 9000}), drip=1, pause=0.01))
    source = Source(url=url, proxy=f"http://127.0.0.1:{proxy.port}")
    policy = replace(QUICK, retries=0, connect_timeout=0.1, answer_timeout=0.1)
    started = time.monotonic()
    with pytest.raises(FetchFailed, match="in time"):
        fetch(source, policy=policy)
    assert time.monotonic() - started < 20


def test_a_tunnel_that_is_refused(secure: MisbehavingServer, ca_file: Path) -> None:
    with TinyProxy(authorization="no such") as proxy:
        source = Source(
            url=secure.url("/image?SECRET"), ca_file=ca_file, proxy=f"http://u:SECRET@127.0.0.1:{proxy.port}"
        )
        error = failure(source)
    assert "proxy" in error.detail
    assert "SECRET" not in str(error)


def test_a_proxy_that_is_not_there(server: MisbehavingServer) -> None:
    error = failure(Source(url=server.url("/image"), proxy=f"http://u:SECRET@127.0.0.1:{unused_port()}"))
    assert "The proxy can not be reached, or makes no connection: Connection refused." in error.detail


@pytest.mark.parametrize("proxy", ["socks5://u:SECRET@127.0.0.1:1", "http://", "http://[SECRET"])
def test_a_proxy_that_can_not_be_used(server: MisbehavingServer, proxy: str) -> None:
    error = failure(Source(url=server.url("/image"), proxy=proxy))
    assert error.attempts == 1
    assert "proxy" in error.detail
    assert "SECRET" not in str(error)


@pytest.mark.parametrize("kind", ["refused", "cut", "not http", "404", "bad header", "bad answer header"])
def test_no_secret_in_any_log_or_traceback(
    server: MisbehavingServer, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    server.on("/cut", Serve(BODY, cut_after=10))
    server.on("/not", Raw(b"SECRET SECRET\r\n\r\n"))
    server.on("/odd", Raw(head(404, {"X": "1\r\n no colon SECRET\r\nnor here"}) + b"x"))
    url = {
        "refused": f"http://127.0.0.1:{unused_port()}/x",
        "cut": server.url("/cut"),
        "not http": server.url("/not"),
        "404": server.url("/nowhere"),
        "bad header": server.url("/image"),
        "bad answer header": server.url("/odd"),
    }[kind]
    value = "SECRET\n" if kind == "bad header" else "SECRET"
    source = Source(
        url=url.replace("//", "//SECRET:SECRET@") + "?SECRET#SECRET", headers=(("X-Token", value),)
    )
    error = failure(source)
    assert "SECRET" not in "".join(traceback.format_exception(error))
    assert "SECRET" not in caplog.text
