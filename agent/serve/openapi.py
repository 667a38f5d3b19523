"""What the calls are, for programs: what FastAPI can not work out by itself of the OpenAPI document."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from agent.request.model import Request
from agent.status import State

DOCUMENT_PATH = "/1.0/openapi.json"

_COMPONENTS = "#/components/schemas/"
_URL = r"^https?://[^\x00-\x20\x7f]+$"
_NO_FILE = "Where the image is. User info and query are secrets. file URLs are not taken by this call."
_EXAMPLE = {
    "URL": "https://images.example/debian-12.qcow2",
    "type": "qcow2",
    "configdrive": {"enable": True, "hostname": "web1"},
}
_SIGNED_BY = {
    "application": ("X-Ovh-Application", "The application key."),
    "consumer": ("X-Ovh-Consumer", "The consumer key."),
    "timestamp": ("X-Ovh-Timestamp", "Seconds since 1970, at most a minute off the server's own time."),
    "signature": (
        "X-Ovh-Signature",
        "`$1$` and the SHA-1, in hex, of application secret, consumer key, method, URL, body and timestamp.",
    ),
}
_WHEN = {
    HTTPStatus.BAD_REQUEST: "The request is wrong; `message` is the documented one.",
    HTTPStatus.FORBIDDEN: "The call is not signed as it has to be, or comes from a web page.",
    HTTPStatus.NOT_FOUND: "There is no status under this name.",
    HTTPStatus.REQUEST_TIMEOUT: "The body did not come in time.",
    HTTPStatus.CONFLICT: "A deployment is running that was not to be disturbed, or would not end.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not said to be JSON.",
    HTTPStatus.TOO_MANY_REQUESTS: "There are too many calls.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something is wrong with the server itself.",
}
_ALWAYS = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
_ALWAYS_POSSIBLE = (*_ALWAYS, HTTPStatus.INTERNAL_SERVER_ERROR)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class StatusAnswer(_Answer):
    """The status of the deployment."""

    servername: str
    status: State
    message: str = Field(description="`starting`, what is being done, `done`, or what went wrong.")
    checksum: str | None


class ErrorAnswer(_Answer):
    """What went wrong, and what to do."""

    message: str
    error_code: str
    http_code: str = Field(description="The number and its name, as in `404 Not Found`.")
    detail: str
    hint: str


SERVER_TIME: dict[str, Any] = {
    "operation_id": "serverTime",
    "summary": "The server's time",
    "response_description": "Seconds since 1970.",
    "responses": {200: {"content": {"application/json": {"schema": {"type": "integer"}}}}},
}


def deploying(*, signed: bool) -> dict[str, Any]:
    """Describe POST."""
    content = {"schema": {"$ref": f"{_COMPONENTS}Request"}, "example": _EXAMPLE}
    body = {"required": True, "content": {"application/json": content}}
    others = (
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.TOO_MANY_REQUESTS,
    )
    return {
        "operation_id": "deploy",
        "summary": "Start a deployment",
        "response_description": "It has begun, and there is a status.",
        "responses": _responses({"type": "null"}, *others),
        "openapi_extra": {"requestBody": body, **_every_call(signed=signed)},
    }


def asking(*, signed: bool) -> dict[str, Any]:
    """Describe GET."""
    return {
        "operation_id": "status",
        "summary": "The status of the deployment",
        "responses": {
            200: {"model": StatusAnswer, "description": "The four fields."},
            **_errors(*_ALWAYS_POSSIBLE),
        },
        "openapi_extra": _every_call(signed=signed),
    }


def deleting(*, signed: bool) -> dict[str, Any]:
    """Describe DELETE."""
    return {
        "operation_id": "delete",
        "summary": "Stop the deployment and erase its status",
        "response_description": "No deployment runs, and there is no status.",
        "responses": _responses({"type": "null"}, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS),
        "openapi_extra": _every_call(signed=signed),
    }


def complete(document: dict[str, Any], *, signed: bool) -> dict[str, Any]:
    """Add what the calls refer to: the request, and how calls are signed."""
    components = document.setdefault("components", {})
    schema = Request.model_json_schema(by_alias=True, ref_template=f"{_COMPONENTS}{{model}}")
    parts = schema.pop("$defs")
    schema["properties"]["URL"] |= {"pattern": _URL, "description": _NO_FILE}
    components.setdefault("schemas", {}).update({**parts, "Request": schema})
    if signed:
        components["securitySchemes"] = {
            name: {"type": "apiKey", "in": "header", "name": header, "description": text}
            for name, (header, text) in _SIGNED_BY.items()
        }
    return document


def _every_call(*, signed: bool) -> dict[str, Any]:
    name = {
        "name": "serviceName",
        "in": "path",
        "required": True,
        "description": "The server's name, which the status has as `servername`.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 253},
        "example": "ns1.example",
    }
    security: dict[str, Any] = {"security": [{scheme: [] for scheme in _SIGNED_BY}]} if signed else {}
    return {"parameters": [name], **security}


def _responses(schema: dict[str, Any], *others: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"content": {"application/json": {"schema": schema}}},
        **_errors(*_ALWAYS_POSSIBLE, *others),
    }


def _errors(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    return {status.value: {"model": ErrorAnswer, "description": _WHEN[status]} for status in sorted(statuses)}
