"""The calls themselves: who may make them, what they are given, what they answer."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from agent.serve.answers import as_refusal, json_answer, refused
from agent.serve.body import read_json_text, refuse_body
from agent.serve.call import Call, call_of
from agent.serve.deployments import Deployments
from agent.serve.few_at_once import FewAtOnce
from agent.serve.posted_request import posted_request
from agent.serve.refusal import CallRefused
from agent.serve.threads import Threads

log = logging.getLogger(__name__)

_LONGEST_NAME = 253
_MOST_BODIES = 8


class Gate(Protocol):
    """Who may call."""

    def check_head(self, call: Call) -> None:
        """Refuse a call before its body is read. Raises CallRefused."""
        ...

    def check_body(self, call: Call, body: bytes) -> None:
        """Refuse a call once its body has been read. Raises CallRefused."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """What the calls work with."""

    gate: Gate
    deployments: Deployments
    threads: Threads
    clock: Callable[[], float]
    """Gives seconds since 1970."""
    bodies: FewAtOnce = field(default_factory=lambda: FewAtOnce(_MOST_BODIES))
    """Who has sent one is known only when all of it is there."""
    service_name: str | None
    """The one name that this server answers to; None: whatever it is called."""

    async def server_time(self, _request: Request) -> Response:
        """Give the seconds since 1970."""
        return json_answer(int(self.clock()))

    async def deploy(self, request: Request) -> Response:
        """Start a deployment."""
        call = call_of(request)
        self.gate.check_head(call)
        with self.bodies.one():
            text = await read_json_text(request)
            self.gate.check_body(call, text)
            posted = await self.threads.run(posted_request, text, self._name(request))
        await self.deployments.start(posted)
        return json_answer(None)

    async def status(self, request: Request) -> Response:
        """Give the four fields of the status."""
        found = await self.deployments.status(self._name_of_call_without_body(request))
        return json_answer(found.summary())

    async def delete(self, request: Request) -> Response:
        """Stop the deployment and erase its status."""
        await self.deployments.delete(self._name_of_call_without_body(request))
        return json_answer(None)

    def _name_of_call_without_body(self, request: Request) -> str:
        call = call_of(request)
        self.gate.check_head(call)
        refuse_body(request)
        self.gate.check_body(call, b"")
        return self._name(request)

    def _name(self, request: Request) -> str:
        name: str = request.path_params["serviceName"]
        if self.service_name is not None and name != self.service_name:
            raise CallRefused(
                HTTPStatus.NOT_FOUND,
                "NOT_FOUND",
                "There is no such server here.",
                detail="This server answers to another name.",
                hint="Put the name that it was started with (--service-name) into the URL.",
            )
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise CallRefused(
                HTTPStatus.BAD_REQUEST,
                "BAD_REQUEST",
                "The name of the server is wrong.",
                detail=f"It is longer than {_LONGEST_NAME} characters, or holds some that can not be shown.",
                hint="Put the server's name into the URL, such as ns1.example.",
            )
        return name


def told(call: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Let the log say how each call ended that changes something."""

    async def logged(request: Request) -> Response:
        try:
            answer, how = await call(request), "taken"
        except Exception as error:
            refusal = as_refusal(error)
            answer, how = refused(refusal), f"{refusal.code}, {refusal.message} {refusal.detail}"
        log.info("%s from %s: %s", request.method, call_of(request).peer or "somewhere", how)
        return answer

    return logged
