"""A real HTTP server on 127.0.0.1 that does to a client what servers in the wild do.

    with MisbehavingServer() as server:
        server.on("/image", Serve(body, cut_after=1000, end="reset"), Serve(body))
        get(server.url("/image"))
        assert len(server.seen("/image")) == 2

Each request to a path takes the next act of its script; the last one is repeated. An act is ``Serve``,
``Held``, ``Redirect``, ``Raw``, or any callable that takes a ``Client``.
"""

import contextlib
import fcntl
import http.client
import socket
import ssl
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from email.utils import formatdate
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

End = Literal["close", "reset", "stall"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came in."""

    method: str
    target: str
    headers: Message
    body: bytes = b""


class Client:
    """The other end of one connection, and the request it has made."""

    def __init__(self, connection: socket.socket, request: Seen, stopped: threading.Event) -> None:
        self.connection = connection
        self.request = request
        self._stopped = stopped

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def pause(self, seconds: float | None = None) -> None:
        """Do nothing for a while, or until the server is closed; raises OSError when it was closed."""
        if self._stopped.wait(seconds):
            raise ConnectionAbortedError

    def end(self, how: End) -> None:
        if how == "stall":
            self.pause()
        elif how == "reset":
            self._until_acknowledged()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _until_acknowledged(self) -> None:
        """Wait until the client's kernel has everything; a reset throws away what was not sent yet."""
        while struct.unpack("i", fcntl.ioctl(self.connection, termios.TIOCOUTQ, bytes(4)))[0]:
            self.pause(0.001)


Act = Callable[[Client], None]


@dataclass(frozen=True, slots=True)
class Serve:
    """Answers with ``body``, or with the part of it that was asked for."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = None
    last_modified: str | None = None
    ranges: bool = True
    """Honour Range and If-Range; otherwise they are ignored."""
    if_range: bool = True
    """Honour If-Range; otherwise a part is sent whatever the validator says."""
    shift: int = 0
    """Send a part that begins so many bytes after the one asked for."""
    length: int | Literal["true", "none"] = "true"
    """What Content-Length says."""
    chunked: bool = False
    chunk_size: int = 1000
    cut_after: int | None = None
    """Send so many bytes of the body only, then ``end``."""
    end: End = "close"
    drip: int = 0
    """Send the body in pieces of so many bytes, with ``pause`` seconds between them."""
    pause: float = 0.0

    def __call__(self, client: Client) -> None:
        start = self._start(client.request)
        part = self.body[start:] if start is not None else self.body
        client.send(self._head(start, len(part)))
        sent = part if self.cut_after is None else part[: self.cut_after]
        self._send_body(client, sent, complete=self.cut_after is None)
        client.end(self.end)

    def _start(self, request: Seen) -> int | None:
        wanted = request.headers.get("Range")
        condition = request.headers.get("If-Range")
        if wanted is None or not self.ranges or self.status != 200:
            return None
        if self.if_range and condition not in (None, self.etag, self.last_modified):
            return None
        return int(wanted.removeprefix("bytes=").removesuffix("-")) + self.shift

    def _head(self, start: int | None, length: int) -> bytes:
        headers = {"Date": formatdate(usegmt=True)} | self.headers
        if self.etag:
            headers["ETag"] = self.etag
        if self.last_modified:
            headers["Last-Modified"] = self.last_modified
        if start is not None:
            headers["Content-Range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        if self.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif self.length != "none":
            headers["Content-Length"] = str(length if self.length == "true" else self.length)
        return head(self.status if start is None else 206, headers)

    def _send_body(self, client: Client, data: bytes, *, complete: bool) -> None:
        size = self.drip or (self.chunk_size if self.chunked else len(data) or 1)
        for position in range(0, len(data), size):
            piece = data[position : position + size]
            client.send(b"%x\r\n%s\r\n" % (len(piece), piece) if self.chunked else piece)
            if self.drip:
                client.pause(self.pause)
        if self.chunked and complete:
            client.send(b"0\r\n\r\n")


@dataclass(frozen=True, slots=True)
class Held:
    """Answers with the beginning of ``body``, and goes on, too slowly to end, until ``go`` is set."""

    body: bytes
    go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, client: Client) -> None:
        client.send(head(200, {"Content-Length": str(len(self.body))}))
        at = min(256 << 10, len(self.body) // 2)
        client.send(self.body[:at])
        while not self.go.is_set():
            client.send(self.body[at : at + 1])
            at += 1
            client.pause(0.1)
        client.send(self.body[at:])


@dataclass(frozen=True, slots=True)
class Redirect:
    """Sends the client elsewhere."""

    location: str
    status: int = 302

    def __call__(self, client: Client) -> None:
        client.send(head(self.status, {"Location": self.location, "Content-Length": "0"}))


@dataclass(frozen=True, slots=True)
class Raw:
    """Sends these bytes, HTTP or not, in pieces of ``drip`` bytes if it is given."""

    data: bytes
    drip: int = 0
    pause: float = 0.0
    end: End = "close"

    def __call__(self, client: Client) -> None:
        size = self.drip or len(self.data) or 1
        for position in range(0, len(self.data), size):
            client.send(self.data[position : position + size])
            if self.drip:
                client.pause(self.pause)
        client.end(self.end)


def head(status: int, headers: dict[str, str]) -> bytes:
    """Give an answer's header; the connection ends with the answer."""
    phrase = http.client.responses.get(status, "Whatever")
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{k}: {v}" for k, v in headers.items()), "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


class _Listener:
    """Takes connections on a free port of 127.0.0.1, a thread for each."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                thread = threading.Thread(target=self._guarded, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _guarded(self, connection: socket.socket) -> None:
        # A client that gives up early is what the tests are about.
        with connection, contextlib.suppress(OSError):
            self.handle(connection)

    def handle(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MisbehavingServer(_Listener):
    """The server. With ``tls``, a server's SSL context, it speaks https."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._scripts: dict[str, list[Act]] = {}
        self._seen: list[Seen] = []
        self._lock = threading.Lock()
        self._tls = tls
        self._host = host
        super().__init__()

    def on(self, path: str, *acts: Act) -> str:
        """Set what happens to requests for ``path`` (without query), and return its URL."""
        self._scripts[path] = list(acts)
        return self.url(path)

    def url(self, path: str, *, user_info: str = "") -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{user_info and user_info + '@'}{self._host}:{self.port}{path}"

    def seen(self, path: str) -> list[Seen]:
        """Return the requests for ``path`` so far."""
        with self._lock:
            return [request for request in self._seen if _path(request) == path]

    def handle(self, connection: socket.socket) -> None:
        if self._tls:
            with self._tls.wrap_socket(connection, server_side=True) as encrypted:
                self._answer(encrypted)
        else:
            self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        request = read_request(connection)
        with self._lock:
            self._seen.append(request)
            script = self._scripts.get(_path(request), [Serve(status=404)])
            act = script.pop(0) if len(script) > 1 else script[0]
        act(Client(connection, request, self._stopped))


def _path(request: Seen) -> str:
    return urlsplit(request.target).path


def read_request(connection: socket.socket) -> Seen:
    """Read a request; raises OSError when there is none."""
    with connection.makefile("rb") as stream:
        line = stream.readline().decode("latin-1").split()
        if len(line) != 3:
            raise ConnectionAbortedError
        headers = http.client.parse_headers(stream)
        body = stream.read(int(headers.get("Content-Length", "0")))
        return Seen(line[0], line[1], headers, body)


class TinyProxy(_Listener):
    """A proxy for http (absolute URLs) and https (CONNECT); optionally wants user and password."""

    def __init__(self, *, authorization: str | None = None) -> None:
        self.seen: list[Seen] = []
        self._authorization = authorization
        super().__init__()

    def handle(self, connection: socket.socket) -> None:
        request = read_request(connection)
        self.seen.append(request)
        if self._authorization not in (None, request.headers["Proxy-Authorization"]):
            connection.sendall(head(407, {"Content-Length": "0"}))
            return
        authority = request.target if request.method == "CONNECT" else urlsplit(request.target).netloc
        host, _, port = authority.rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            if request.method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 Go ahead\r\n\r\n")
            else:
                server.sendall(_forwarded(request))
            self._pump(connection, server)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        back = threading.Thread(target=_copy, args=(client, server), daemon=True)
        back.start()
        _copy(server, client)
        back.join(5)


def _forwarded(request: Seen) -> bytes:
    parts = urlsplit(request.target)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [
        f"{request.method} {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in request.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def unused_port() -> int:
    """Give a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def make_authority(folder: Path, *, names: str = "IP:127.0.0.1") -> tuple[Path, ssl.SSLContext]:
    """Make a certificate authority and a server certificate; return the CA's file and a server context."""
    ca, ca_key, key = folder / "ca.pem", folder / "ca.key", folder / "server.key"
    request, certificate, extensions = folder / "server.csr", folder / "server.pem", folder / "server.ext"
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    extensions.write_text(f"subjectAltName={names}\n")
    _openssl("req", "-x509", *new_key, "-keyout", ca_key, "-out", ca, "-subj", "/CN=test CA", "-days", "2")
    _openssl("req", *new_key, "-keyout", key, "-out", request, "-subj", "/CN=test server")
    signing: list[str | Path] = [
        "-CA",
        ca,
        "-CAkey",
        ca_key,
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        extensions,
    ]
    _openssl("x509", "-req", "-in", request, "-out", certificate, *signing)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return ca, context


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def wait_until(condition: Callable[[], bool], *, seconds: float = 5.0) -> None:
    """Wait for a condition; AssertionError when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("the condition did not come true")
        time.sleep(0.002)
