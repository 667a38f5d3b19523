"""What the tests of requests share; no tests in here."""

import traceback
from typing import Any

import pytest

from agent.errors import RequestError
from agent.request.model import Request
from agent.request.parse import parse

SECRET = "s3cret"
BASE: dict[str, Any] = {"URL": "http://images.example/debian.raw", "type": "raw"}

Document = dict[str, Any]


def request(**more: Any) -> Request:
    return parse(BASE | more)


def error(document: Document) -> RequestError:
    """The error that ``document`` is answered with."""
    with pytest.raises(RequestError) as caught:
        parse(document)
    return caught.value


def everything_said(found: BaseException) -> str:
    """All that an error shows in any way."""
    parts = [repr(found), str(found), *traceback.format_exception(found)]
    return "\n".join([*parts, *(str(value) for value in vars(found).values())])


def document_with(place: str, value: Any) -> Document:
    """A document that is right but for ``value`` at ``place``, which is named as errors name it."""
    drive = {"enable": True}
    match place.split("."):
        case ["checkSum"]:
            return BASE | {"checkSum": value, "checkSumType": "md5"}
        case ["checkSumType"]:
            return BASE | {"checkSum": "0" * 64, "checkSumType": value}
        case ["options", name]:
            return BASE | {"options": {name: value}}
        case ["configdrive", name]:
            return BASE | {"configdrive": drive | {name: value}}
        case ["configdrive", "userMetadatas", "0", name]:
            entry = {"key": "role", "value": "web"} | {name: value}
            return BASE | {"configdrive": drive | {"userMetadatas": [entry]}}
        case ["httpHeader", "0", name]:
            return BASE | {"httpHeader": [{"key": "X-Token", "value": "abc"} | {name: value}]}
    return BASE | {place: value}


def value_at(document: Any, place: str) -> Any:
    """What stands at ``place``."""
    for name in place.split("."):
        document = document[int(name) if name.isdigit() else name]
    return document
