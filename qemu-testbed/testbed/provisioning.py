"""What a provisioning system is to a server that it boots: it gives the request and takes the status."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

from .file_server import HOST_SEEN_FROM_GUEST

Status = Mapping[str, Any]
_REQUEST, _STATUS = "/request", "/status"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, token: str) -> None:
        self.token = token
        self.request_text = b""
        self.statuses: list[Status] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    @property
    def _own(self) -> _Server:
        return cast(_Server, self.server)

    def do_GET(self) -> None:
        """Give the request."""
        if not self._may(_REQUEST):
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self._own.request_text)))
        self.end_headers()
        self.wfile.write(self._own.request_text)

    def do_POST(self) -> None:
        """Take a status."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self._may(_STATUS):
            return
        with self._own.lock:
            self._own.statuses.append(json.loads(body))
        self.send_response(HTTPStatus.NO_CONTENT)
        self.end_headers()

    def _may(self, path: str) -> bool:
        if self.headers.get("Authorization") != f"Bearer {self._own.token}":
            self.send_error(HTTPStatus.UNAUTHORIZED)
        elif self.path != path:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            return True
        return False

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


class Provisioning:
    """Runs on 127.0.0.1 while the block lasts, for one server."""

    def __init__(self, request: Mapping[str, Any], *, service: str, token: str = "t0ken") -> None:
        """`request` is what the server is to do; `service` is its name."""
        self._server = _Server(token)
        self._server.request_text = json.dumps(request).encode()
        self._service = service
        self._thread = threading.Thread(target=self._server.serve_forever, name="provisioning", daemon=True)

    def __enter__(self) -> Self:
        """Start answering."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def boot_parameters(self) -> tuple[str, ...]:
        """The words for the kernel's command line of the server."""
        base = f"http://{HOST_SEEN_FROM_GUEST}:{self._server.server_port}"
        return (
            f"byoi.request={base}{_REQUEST}",
            f"byoi.status={base}{_STATUS}",
            f"byoi.token={self._server.token}",
            f"byoi.service={self._service}",
        )

    @property
    def statuses(self) -> Sequence[Status]:
        """What has been posted so far."""
        with self._server.lock:
            return list(self._server.statuses)

    def has_ended(self) -> bool:
        """Whether the last status is one after which nothing more comes."""
        return bool(self.statuses) and self.statuses[-1]["status"] in ("done", "error")
