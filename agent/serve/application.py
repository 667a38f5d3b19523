"""The application: which URL leads where."""

from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.serve import openapi
from agent.serve.answers import HEADERS, answer_error, json_answer
from agent.serve.calls import Calls, Gate, told
from agent.serve.credentials import Credentials
from agent.serve.deployment_process import DeployCommand
from agent.serve.deployments import Deployments
from agent.serve.local_calls import LocalCalls
from agent.serve.page import Page
from agent.serve.page_access import PageAccess
from agent.serve.refusal import CallRefused
from agent.serve.signed_calls import SignedCalls
from agent.serve.steady_clock import SteadyClock
from agent.serve.threads import Threads
from agent.serve.watcher import Watcher
from agent.version import VERSION
from partitioning.errors import ExplainedError

_TIME = "/1.0/auth/time"
_IMAGE = "/1.0/dedicated/server/{serviceName}/bringYourOwnImage"
_WHAT_IT_IS = "OVHcloud's three calls for bringing one's own image, served by the server that it is put onto."


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is served, and to whom."""

    command: DeployCommand
    credentials: Credentials | None
    service_name: str | None
    base_url: str | None


def application(served: Served, threads: Threads, watcher: Watcher) -> ASGIApp:
    """Put everything together."""
    app = FastAPI(
        title="byoi-agent",
        version=VERSION,
        description=_WHAT_IT_IS,
        openapi_url=None,
        docs_url=None,  # both would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    for kind in (HTTPException, CallRefused, ExplainedError, Exception):
        app.add_exception_handler(kind, answer_error)
    _add_calls(app, served, threads)
    _add_page(app, served, watcher)
    return _WithHeaders(app)


def _add_calls(app: FastAPI, served: Served, threads: Threads) -> None:
    signed = served.credentials is not None
    clock = SteadyClock()
    calls = Calls(
        gate=_gate(served, clock),
        clock=clock,
        deployments=Deployments(served.command, threads),
        threads=threads,
        service_name=served.service_name,
    )
    app.get(_TIME, **openapi.SERVER_TIME)(calls.server_time)
    app.post(_IMAGE, **openapi.deploying(signed=signed))(told(calls.deploy))
    app.get(_IMAGE, **openapi.asking(signed=signed))(calls.status)
    app.delete(_IMAGE, **openapi.deleting(signed=signed))(told(calls.delete))
    document = _document(app, signed=signed)

    @app.get(openapi.DOCUMENT_PATH, include_in_schema=False)
    async def describe() -> Response:
        return json_answer(document)


def _gate(served: Served, clock: SteadyClock) -> Gate:
    if served.credentials is None:
        return LocalCalls()
    return SignedCalls(served.credentials, served.base_url, clock=clock)


def _document(app: FastAPI, *, signed: bool) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    return openapi.complete(document, signed=signed)


def _add_page(app: FastAPI, served: Served, watcher: Watcher) -> None:
    access = PageAccess(served.credentials, behind_proxy=served.base_url is not None)
    page = Page(access=access, watcher=watcher)
    app.get("/", include_in_schema=False)(page.show)
    app.get("/events", include_in_schema=False)(page.events)
    app.get("/page/{name}", include_in_schema=False)(page.file)


class _WithHeaders:
    """Adds the headers that every answer has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)
