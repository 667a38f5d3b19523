"""The status as a stream of server-sent events.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from agent.serve.view import status_view
from agent.serve.watcher import Seen, Watcher

HEARTBEAT = 10.0
"""Seconds without a change after which something is sent all the same: the page sees that it is connected."""

_LIFE = 600.0
"""Seconds after which a stream ends; a browser begins another by itself."""

_PATIENCE = 20.0
"""Seconds that the other end may take to make room."""

_AGAIN = "retry: 1500\n\n"


class EventStream(Response):
    """An answer that goes on until the reader has gone, or does not read any more."""

    media_type = "text/event-stream"

    def __init__(self, watcher: Watcher, changed: asyncio.Event, headers: dict[str, str]) -> None:
        """Send what ``watcher`` sees; ``changed`` is the listener that has joined it for that."""
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._watcher = watcher
        self._changed = changed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        del scope
        sending = asyncio.create_task(self._send_all(send))
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
            self._watcher.leave(self._changed)
            results = await asyncio.gather(sending, gone, return_exceptions=True)
        if isinstance(results[0], Exception) and not isinstance(results[0], TimeoutError):
            raise results[0]

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for piece in self._pieces():
            async with asyncio.timeout(_PATIENCE):
                await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _pieces(self) -> AsyncIterator[str]:
        yield _AGAIN
        numbers, before, ends = itertools.count(1), None, time.monotonic() + _LIFE
        async for seen in self._watcher.changes(self._changed, HEARTBEAT):
            if time.monotonic() > ends:
                return
            if seen is None:
                yield ": nothing new\nevent: alive\ndata:\n\n"
                continue
            for name, value in events_between(before, seen):
                yield f"id: {next(numbers)}\nevent: {name}\ndata: {json.dumps(value)}\n\n"
            before = seen


def events_between(before: Seen | None, seen: Seen) -> list[tuple[str, Any]]:
    """Give the events, name and value, that tell somebody who knows ``before`` what there is now."""
    events: list[tuple[str, Any]] = []
    if before is None or (before.status, before.problem) != (seen.status, seen.problem):
        events.append(("status", status_view(seen)))
    if before is None or before.log != seen.log:
        events.append(("log", list(seen.log)))
    return events


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
