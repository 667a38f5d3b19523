"""A small HTTP server for images: byte ranges, entity tags and lengths as a good mirror gives them.

Source: RFC 9110, sections 8.8 (validators), 13.1.5 (If-Range) and 14 (range requests). It serves the files
right below one directory and nothing else. A server that misbehaves on purpose is a matter of the fetch
tests.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast
from urllib.parse import quote, unquote, urlsplit

from .link_rate import LinkRate

# Small enough for an even flow at the rate of a usual link, large enough to cost next to nothing.
_CHUNK = 256 << 10
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
# Where a guest in QEMU's user-mode network finds the host's own 127.0.0.1.
HOST_SEEN_FROM_GUEST = "10.0.2.2"


@dataclass(frozen=True)
class _Span:
    """The bytes from `start` up to and without `end`."""

    start: int
    end: int


class _Server(ThreadingHTTPServer):
    """Carries what the handlers need to know."""

    daemon_threads = True

    def __init__(
        self, directory: Path, port: int, bytes_per_second: int | None, log: Callable[[str], None]
    ) -> None:
        self.directory = directory
        self.link = LinkRate(bytes_per_second) if bytes_per_second else None
        self.log = log
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle of a body is none of the server's errors."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "byoi-testbed"
    sys_version = ""

    @property
    def _own(self) -> _Server:
        return cast(_Server, self.server)

    def do_GET(self) -> None:
        """Answer with the file, or the range of it that was asked for."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with the headers alone."""
        self._answer(with_body=False)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
        """Hand the line to whoever started the server."""
        self._own.log(format % arguments)

    def _answer(self, *, with_body: bool) -> None:
        path = self._requested_file()
        if path is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with path.open("rb") as content:
            size = path.stat().st_size
            tag = f'"{path.stat().st_mtime_ns:x}-{size:x}"'
            wanted = self._wanted_range(tag, size)
            if wanted is not None and wanted.start >= size:
                self._refuse_range(size)
                return
            span = wanted or _Span(0, size)
            self._send_headers(path, tag, size, span, partial=wanted is not None)
            if with_body:
                self._send_body(content, span)

    def _requested_file(self) -> Path | None:
        name = unquote(urlsplit(self.path).path).lstrip("/")
        path = self._own.directory / name
        return path if name and "/" not in name and path.is_file() else None

    def _wanted_range(self, tag: str, size: int) -> _Span | None:
        """The range asked for; None for the whole file, also where If-Range names another version."""
        match = _RANGE.fullmatch(self.headers.get("Range", ""))
        if match is None or self.headers.get("If-Range", tag) != tag:
            return None
        first, last = match.groups()
        if first:
            return _Span(int(first), min(int(last) + 1, size) if last else size)
        return _Span(max(size - int(last), 0), size) if last else None

    def _refuse_range(self, size: int) -> None:
        self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        self.send_header("Content-Range", f"bytes */{size}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_headers(self, path: Path, tag: str, size: int, span: _Span, *, partial: bool) -> None:
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(span.end - span.start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", tag)
        self.send_header("Last-Modified", formatdate(path.stat().st_mtime, usegmt=True))
        if partial:
            self.send_header("Content-Range", f"bytes {span.start}-{span.end - 1}/{size}")
        self.end_headers()

    def _send_body(self, content: IO[bytes], span: _Span) -> None:
        start = span.start
        if (link := self._own.link) is not None:
            link.begin()
        while start < span.end:
            chunk = min(_CHUNK, span.end - start)
            if (link := self._own.link) is not None:
                link.wait_for(chunk)
            self._send_chunk(content, _Span(start, start + chunk))
            start += chunk

    def _send_chunk(self, content: IO[bytes], span: _Span) -> None:
        start = span.start
        while start < span.end:
            sent = os.sendfile(self.connection.fileno(), content.fileno(), start, span.end - start)
            if not sent:
                raise ConnectionAbortedError("the file became shorter while it was sent")
            start += sent


class FileServer:
    """Serves a directory on 127.0.0.1 while the block lasts; port 0 takes a free one."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        bytes_per_second: int | None = None,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`bytes_per_second` limits all answers together; `log` gets one line for each request."""
        self._server = _Server(directory, port, bytes_per_second, log)
        self._thread = threading.Thread(target=self._server.serve_forever, name="file-server", daemon=True)

    def __enter__(self) -> Self:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    def url(self, name: str, *, host: str = HOST_SEEN_FROM_GUEST) -> str:
        """The address of a file, by default as a guest sees it."""
        return f"http://{host}:{self.port}/{quote(name)}"

    def lift_limit(self) -> None:
        """Send the rest as fast as it is taken."""
        self._server.link = None

    def wait(self) -> None:
        """Serve until the thread ends, which is to say until interrupted."""
        self._thread.join()
