"""The page to watch a deployment with: its files, its first state, and the events that keep it up to date."""

import asyncio
import html
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from agent.fetch.redaction import printable
from agent.serve.call import call_of
from agent.serve.event_stream import EventStream
from agent.serve.page_access import PageAccess
from agent.serve.refusal import CallRefused
from agent.serve.view import text_lines
from agent.serve.watcher import Watcher

FILES = {
    "style.css": "text/css; charset=utf-8",
    "watch.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

# Nothing from elsewhere, nothing within the page that is not in its files.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"Content-Security-Policy": _POLICY, "Cross-Origin-Opener-Policy": "same-origin"}
_STATE = "<!-- state -->"
_WRONG_PASSWORD_PAUSE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The page, and who may look at it."""

    access: PageAccess
    watcher: Watcher
    wrong: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Wrong passwords wait for one another: nobody tries out very many."""

    async def show(self, request: Request) -> Response:
        """Answer with the page; a reader without scripts finds the state in it."""
        await self._check(request)
        lines = [html.escape(printable(line)) for line in text_lines(await self.watcher.now())]
        text = _text("index.html").replace(_STATE, "\n".join(lines))
        return Response(text, headers=_HEADERS, media_type="text/html; charset=utf-8")

    async def file(self, request: Request) -> Response:
        """Answer with one of its files."""
        await self._check(request)
        name = request.path_params["name"]
        if name not in FILES:
            raise CallRefused(
                HTTPStatus.NOT_FOUND,
                "NOT_FOUND",
                "The page has no such file.",
                detail=f"Its files are {', '.join(FILES)}.",
                hint="Look at the page itself: /",
            )
        return Response(_text(name), headers=_HEADERS, media_type=FILES[name])

    async def events(self, request: Request) -> Response:
        """Answer with the status, again and again."""
        await self._check(request)
        changed = self.watcher.join()
        if changed is None:
            raise CallRefused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "TOO_MANY_WATCH",
                "Too many watch already.",
                detail="Every open page is one.",
                hint="Close some, or reload this one now and then.",
                Retry_After="10",
            )
        return EventStream(self.watcher, changed, {**_HEADERS, "X-Accel-Buffering": "no"})

    async def _check(self, request: Request) -> None:
        try:
            self.access.check(call_of(request))
        except CallRefused as refusal:
            if refusal.status is HTTPStatus.UNAUTHORIZED and "authorization" in request.headers:
                async with self.wrong:
                    await asyncio.sleep(_WRONG_PASSWORD_PAUSE)
            raise


def _text(name: str) -> str:
    return (files("agent.serve") / "page_files" / name).read_text(encoding="utf-8")
