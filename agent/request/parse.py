"""From JSON text to a request, or to an error that names the field."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from agent import messages
from agent.errors import RequestError
from agent.fetch.digest import ChecksumKind
from agent.request.faults import field_name, kind_of, particulars, sentence
from agent.request.model import ImageType, Request

JsonObject = dict[str, Any]

MAX_REQUEST_SIZE = 16 << 20
"""Bytes: user data may be large, but a request is no image."""

_FLAGS_OF_A_SUM = {"checkSum": "--check-sum", "checkSumType": "--check-sum-type"}

_HINT = "See what each field takes with: byoi-agent deploy --help"


def load_json(text: bytes) -> JsonObject:
    """Read one JSON object; a key that stands twice in an object is an error."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
    except _DuplicateKey as error:
        raise _error(
            f"The request is wrong: {field_name(error.key)} stands in it twice.",
            "In a JSON object every name stands once; which of the two values is meant can not be told.",
            hint="Take one of the two out.",
        ) from None
    except (ValueError, RecursionError) as error:
        where = (
            f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        )
        raise _error(
            "The request is not valid JSON.",
            f"It could not be read as JSON{where}." if text.strip() else "It is empty.",
            hint="Find the mistake with: python3 -m json.tool REQUEST",
        ) from None
    if not isinstance(value, dict):
        raise _error(
            "The request is wrong: it is not a JSON object.",
            f"It is {kind_of(value)}, and an object, {{...}}, is expected.",
        )
    return value


def parse(document: Mapping[str, Any], given_as: Mapping[str, str] | None = None) -> Request:
    """Turn a JSON object into a Request; RequestError with the documented message where there is one.

    ``given_as`` has the names of flags for the fields, ``options.bootType`` and so on, that flags have given.
    """
    try:
        return Request.model_validate(document)
    except ValidationError as error:
        raise _explain(document, error.errors(include_url=False), given_as or {}) from None


def _no_number(text: str) -> float:
    # Python's reader takes NaN and Infinity; JSON has neither.
    raise ValueError(text)


class _DuplicateKey(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    result = {}
    for key, value in pairs:
        if key in result:
            raise _DuplicateKey(key)
        result[key] = value
    return result


def _explain(
    document: Mapping[str, Any], errors: list[ErrorDetails], given_as: Mapping[str, str]
) -> RequestError:
    # The documented messages come first: programs look for them.
    fields = {error["loc"][0] for error in errors if error["loc"]}
    if "type" in fields and document.get("type") is not None:
        known = ", ".join(ImageType)
        return _error(messages.BAD_FORMAT, f"type: the types that can be written are {known}.")
    if "checkSumType" in fields and isinstance(document.get("checkSumType"), str):
        return _error(messages.BAD_CHECKSUM_TYPE, f"checkSumType: known are {', '.join(ChecksumKind)}.")
    if any(messages.CHECKSUM_PAIR in error["msg"] for error in errors):
        return _error(messages.CHECKSUM_PAIR, _half_a_sum(document, given_as))
    # An unknown field is often why a required one is missing.
    errors = sorted(errors, key=lambda error: error["type"] != "extra_forbidden")
    first = sentence(errors[0], given_as)
    return _error(f"The request is wrong: {first}.", particulars(errors, given_as))


def _half_a_sum(document: Mapping[str, Any], given_as: Mapping[str, str]) -> str:
    given, missing = "checkSum", "checkSumType"
    if document.get(given) is None:
        given, missing = missing, given
    # One who types flags looks for the flag that is missing.
    if given in given_as:
        given, missing = _FLAGS_OF_A_SUM[given], _FLAGS_OF_A_SUM[missing]
    return f"{given} is given, and {missing} is not."


def _error(message: str, detail: str, *, hint: str = _HINT) -> RequestError:
    return RequestError(message, detail=detail, hint=hint)
