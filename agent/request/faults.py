"""What is wrong with a request, in our own words; pydantic's are those of Python."""

import difflib
import re
from collections.abc import Mapping, Sequence

from pydantic_core import ErrorDetails

from agent.fetch.redaction import printable
from agent.request.model import described, names_beside

_WRONG_KIND = {
    "bool_type": "true or false is expected",
    "int_type": "an integer is expected",
    "model_type": "an object is expected",
    "string_type": "a string is expected",
    "tuple_type": "a list is expected",
}
_WRONG_VALUE = {
    "enum": "one of {expected} is expected",
    "extra_forbidden": "there is no such field",
    "greater_than_equal": "it can not be less than {ge}",
    "less_than_equal": "it can not be more than {le}",
    "literal_error": "{expected} is expected",
    "missing": "this field is required",
    "too_long": "it has more than {max_length} entries",
    "string_too_long": "it is longer than {max_length} characters",
    "string_too_short": "it is empty",
    "string_unicode": "it holds half of a surrogate pair, which is no character",
}
_MOST_TOLD = 10
_AS_THEY_ARE: Mapping[str, str] = {}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_KINDS = {
    bool: "true or false",
    dict: "an object",
    float: "a number",
    int: "an integer",
    list: "a list",
    str: "a string",
    type(None): "null",
}


def kind_of(value: object) -> str:
    """Name the kind of a JSON value, with its article."""
    return _KINDS[type(value)]


def field_name(name: str) -> str:
    """Give a field's name as it is shown; what could be no name may be a secret in the wrong place."""
    return name if _NAME.fullmatch(name) else "(a field whose name is no name)"


def sentence(error: ErrorDetails, given_as: Mapping[str, str] = _AS_THEY_ARE) -> str:
    """Name the field and say what is wrong with it.

    ``given_as`` has other names for fields, by which they were given: those of flags.
    """
    place = _place(error["loc"], given_as)
    words = {**_WRONG_KIND, **_WRONG_VALUE}.get(error["type"])
    if words is None:
        what = error["msg"].removeprefix("Value error, ")
    else:
        what = words.format(**{"expected": "", **error.get("ctx", {})}).replace("'", "")
    return printable(f"{place}: {what}" if place else what)


def _place(loc: Sequence[int | str], given_as: Mapping[str, str]) -> str:
    names = [str(part) if isinstance(part, int) else field_name(part) for part in loc]
    for length in range(len(names), 0, -1):
        if flag := given_as.get(".".join(names[:length])):
            return flag  # which of several values it is, the flag does not tell
    return ".".join(names)


def particulars(errors: Sequence[ErrorDetails], given_as: Mapping[str, str] = _AS_THEY_ARE) -> str:
    """Say more than the first sentence does: of one fault what the field is, of several all of them."""
    if len(errors) > 1:
        told = [sentence(error, given_as) + _given(error) + _meant(error) for error in errors[:_MOST_TOLD]]
        more = len(errors) - len(told)
        return "; ".join([*told, f"and {more} more"] if more else told) + "."
    return " ".join(filter(None, _about(errors[0]))) or "Nothing was downloaded, and no disk was touched."


def _about(error: ErrorDetails) -> list[str]:
    place = error["loc"]
    if error["type"] == "extra_forbidden":
        meant, known = _meant_name(error), names_beside(place)
        return [f"Is {meant} meant?" if meant else "", f"Known there: {', '.join(known)}." if known else ""]
    given = f"Given is {kind_of(error['input'])}." if error["type"] in _WRONG_KIND else ""
    return [given, described(place)]


def _meant_name(error: ErrorDetails) -> str | None:
    """Give the known field that an unknown one looks like."""
    name = str(error["loc"][-1]).lower()
    known = {other.lower(): other for other in names_beside(error["loc"])}
    close = difflib.get_close_matches(name, known, n=1) if _NAME.fullmatch(name) else []
    return known[close[0]] if close else None


def _meant(error: ErrorDetails) -> str:
    meant = _meant_name(error) if error["type"] == "extra_forbidden" else None
    return f" (is {meant} meant?)" if meant else ""


def _given(error: ErrorDetails) -> str:
    # Of what kind it is, never the value: it may be a secret.
    return f" (given: {kind_of(error['input'])})" if error["type"] in _WRONG_KIND else ""
