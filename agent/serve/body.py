"""The body of a call: bounded in size and in time, and never compressed."""

import asyncio
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from agent.serve.refusal import CallRefused

MOST = 8 << 20
"""Bytes: the largest user data, 1 MiB, takes six times that in the longest way to write it as JSON."""

PATIENCE = 20.0
"""Seconds within which all of it has to come."""


def refuse_body(request: Request) -> None:
    """Refuse a body where there is nothing to say. Raises CallRefused.

    The hash of the signature can be extended: whoever has seen that of a call without a body could make one
    of a call at any other time, with a body that ends as the right text does.
    """
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        raise CallRefused(
            HTTPStatus.BAD_REQUEST,
            "BODY_NOT_ALLOWED",
            "This call has no body.",
            detail=f"{request.method} says all that there is to say with its URL.",
            hint="Leave the body out.",
        )


async def read_json_text(request: Request) -> bytes:
    """Read a body that says it is JSON. Raises CallRefused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or request.headers.get("content-encoding", "identity") != "identity":
        raise CallRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "The body is not JSON.",
            detail="Its Content-Type is not application/json, or it is compressed.",
            hint="Send the request as JSON, with Content-Type: application/json.",
        )
    if int(request.headers.get("content-length", "0")) > MOST:
        raise _too_large()
    try:
        async with asyncio.timeout(PATIENCE):
            return await _read(request)
    except TimeoutError:
        raise CallRefused(
            HTTPStatus.REQUEST_TIMEOUT,
            "REQUEST_TIMEOUT",
            "The body did not come in time.",
            detail=f"All of it has to come within {PATIENCE:.0f} s.",
            hint="Try again over a better connection.",
        ) from None
    except ClientDisconnect:
        raise CallRefused(
            HTTPStatus.BAD_REQUEST,
            "BODY_CUT_SHORT",
            "The body did not come whole.",
            detail="The connection ended before it did.",
            hint="Try again.",
        ) from None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        if len(body) + len(piece) > MOST:
            raise _too_large()
        body += piece
    return bytes(body)


def _too_large() -> CallRefused:
    return CallRefused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "BODY_TOO_LARGE",
        "The body is too large.",
        detail=f"It has more than {MOST} bytes.",
        hint="Let the image carry large files, or user data that fetches them.",
    )
