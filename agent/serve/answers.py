"""Answers: JSON, also where something is wrong, and never kept by whoever passes them on."""

from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from agent.deployment.failure import defect
from agent.errors import RequestError
from agent.serve.refusal import CallRefused
from partitioning.errors import ExplainedError

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""With every answer."""

_BY_STATUS = {
    HTTPStatus.NOT_FOUND: (
        "There is nothing at this URL.",
        "The calls are those below /1.0, and no others.",
        "See GET /1.0/openapi.json for the calls that there are.",
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "This URL has no such method.",
        "The methods that it has are in the header Allow.",
        "See GET /1.0/openapi.json for the calls that there are.",
    ),
}


def json_answer(value: Any, status: int = HTTPStatus.OK) -> Response:
    """Answer with a JSON value."""
    return JSONResponse(value, status_code=status)


def refused(error: CallRefused) -> Response:
    """Answer that a call is not carried out."""
    return JSONResponse(error.answer(), status_code=error.status, headers=error.headers)


def as_refusal(error: Exception) -> CallRefused:
    """Say what an error means to a caller."""
    match error:
        case CallRefused():
            return error
        case RequestError():
            return _told(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", error)
        case HTTPException():
            return _by_status(error)
        case ExplainedError():
            return _told(HTTPStatus.INTERNAL_SERVER_ERROR, "REFUSED", error)
    found = defect(error)
    return CallRefused(
        HTTPStatus.INTERNAL_SERVER_ERROR, "DEFECT", found.message, detail=found.detail, hint=found.hint
    )


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer with what went wrong."""
    refusal = as_refusal(error)
    if refusal.status is HTTPStatus.METHOD_NOT_ALLOWED:
        # Each route knows of its own method only.
        refusal.headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    return refused(refusal)


def _methods_at(request: Request) -> set[str]:
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return found


def _told(status: HTTPStatus, code: str, error: ExplainedError) -> CallRefused:
    return CallRefused(status, code, error.message, detail=error.detail, hint=error.hint)


def _by_status(error: HTTPException) -> CallRefused:
    status = HTTPStatus(error.status_code)
    unforeseen = (f"{status.phrase}.", "The call could not be understood.", "See GET /1.0/openapi.json.")
    message, detail, hint = _BY_STATUS.get(status, unforeseen)
    return CallRefused(status, status.name, message, detail=detail, hint=hint)
