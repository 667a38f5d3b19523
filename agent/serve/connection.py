"""One connection, with an end to every wait: who is slow, or never says what it wants, is let go.

uvicorn has a limit on idle connections only. These are added: on the head of a request, on the whole of a
connection, and on how many there are.
"""

import asyncio
import json
import resource
import time
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.serve.answers import HEADERS

HEAD_PATIENCE = 10.0
"""Seconds within which the head of a request has to come."""

_LINGER = 2.0
"""Seconds that a client which still sends, and is not heard any more, has to read its answer in."""

_LIFE = 900.0
"""Seconds after which any connection ends."""

_MOST_FILES = 8192
_FILES_OF_OUR_OWN = 200
_MOST_CONNECTIONS = 4000

_NOT_HTTP = {
    "message": "This is no HTTP request.",
    "errorCode": "BAD_REQUEST",
    "httpCode": "400 Bad Request",
    "detail": "What was sent could not be understood, or its head is too long.",
    "hint": "Send an HTTP/1.1 request.",
}


class BoundedConnection(H11Protocol):
    """A connection."""

    most: ClassVar[int] = _MOST_CONNECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin as uvicorn does."""
        super().__init__(*args, **kwargs)
        self._head: asyncio.TimerHandle | None = None
        self._life: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self.since = time.monotonic()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; where there are too many, let one of those go that have said nothing."""
        super().connection_made(transport)
        self._life = self.loop.call_later(_LIFE, transport.abort)
        self._wait_for_head()
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        for timer in (self._head, self._life, self._lingering):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        super().data_received(data)
        if self.waits_for_head:
            self._wait_for_head()
        elif self._head is not None:
            self._head.cancel()
            self._head = None

    @property
    def waits_for_head(self) -> bool:
        """Tell whether no request has come yet, or none after the last one."""
        return self.conn.their_state is h11.IDLE

    def _wait_for_head(self) -> None:
        if self._head is None:
            self.since = time.monotonic()
            self._head = self.loop.call_later(HEAD_PATIENCE, self.transport.abort)

    def _make_room(self) -> None:
        waiting = [each for each in self.connections if isinstance(each, BoundedConnection)]
        waiting = [each for each in waiting if each.waits_for_head]
        oldest = min(waiting, key=lambda each: each.since, default=self)
        self.connections.discard(oldest)
        oldest.transport.abort()

    def on_response_complete(self) -> None:
        """Go on with the next request; but not with the rest of a body that nobody wants."""
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            self._linger()
        else:
            super().on_response_complete()

    def _linger(self) -> None:
        """Hear no more. Closed at once, the connection would be reset, and the answer lost with it."""
        self.flow.pause_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._lingering = self.loop.call_later(_LINGER, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection; one whose answer was not even read has no time left."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, _msg: str) -> None:
        """Answer to what is no HTTP."""
        body = json.dumps(_NOT_HTTP).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *((name.encode(), value.encode()) for name, value in HEADERS.items()),
        ]
        answer = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
        try:
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:  # an answer to the request before is under way
            self.transport.abort()
        else:
            self._linger()


def make_room_for_connections() -> None:
    """Let this process have as many files open as it takes, and no more connections than that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(_MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    files = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    BoundedConnection.most = max(16, min(_MOST_CONNECTIONS, files - _FILES_OF_OUR_OWN))
