"""The server process: from its settings to the end that a signal gives it."""

import asyncio
import logging
import socket
import ssl
import sys
from dataclasses import dataclass
from typing import Any, TextIO

import uvicorn

from agent.fetch.redaction import printable
from agent.interrupts import undisturbed
from agent.reporting.patient_stream import PatientStream
from agent.serve.application import Served, application
from agent.serve.connection import BoundedConnection, make_room_for_connections
from agent.serve.threads import Threads
from agent.serve.watcher import Watcher

_IDLE = 5
_GRACE = 10
"""Seconds that calls which are under way have at the end."""

_TLS_PATIENCE = 3.0
"""Seconds for the handshake: until it is over, a connection is not counted, and holds a descriptor."""

_LONGEST_HEAD = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where it is served."""

    listening: socket.socket
    tls: ssl.SSLContext | None


def serve(served: Served, place: Place) -> None:
    """Serve until SIGINT or SIGTERM comes. A deployment that runs goes on."""
    make_room_for_connections()
    _let_speak(sys.stderr)
    threads = Threads()
    watcher = Watcher(served.command.where, threads)
    config = uvicorn.Config(
        application(served, threads, watcher),
        http=BoundedConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who is at the other end is not a matter of what it says
        server_header=False,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_GRACE,
    )
    config.load()
    config.ssl = place.tls
    # uvicorn sends itself the signal again when it has ended well; by then nobody listens.
    with undisturbed(), asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(_Server(config, watcher).serve([place.listening]))
    threads.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, watcher: Watcher) -> None:
        super().__init__(config)
        self._watcher = watcher

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._watcher.close()  # those who watch would be waited for
        await super().shutdown(sockets)


class _Loop(asyncio.SelectorEventLoop):
    """The usual loop, but that a client has to get on with TLS, too."""

    async def create_server(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("ssl") is not None:
            kwargs |= {"ssl_handshake_timeout": _TLS_PATIENCE, "ssl_shutdown_timeout": _TLS_PATIENCE}
        return await super().create_server(*args, **kwargs)


class _Lines(logging.Handler):
    """Writes a line for each call that changed something, and what went wrong: to whoever reads, if any."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = PatientStream(stream, patience=0.1)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # Of an error nobody foresaw only its kind: its text may hold anything.
            kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
            text = printable(f"{record.getMessage().strip()} {kind}".strip())
            if self._stream.ready():
                self._stream.write(f"{text}\n")
        except Exception:  # noqa: S110 - a reader that has gone must not cost a call
            pass


def _let_speak(stream: TextIO) -> None:
    handler = _Lines(stream)
    for name, level in (("agent", logging.INFO), ("uvicorn", logging.ERROR), ("asyncio", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate = False
        logger.handlers = [handler]
