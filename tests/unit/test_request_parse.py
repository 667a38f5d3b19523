import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import RequestError
from agent.request.model import Request
from agent.request.parse import load_json, parse
from tests.unit.test_request_common import BASE, SECRET, Document, everything_said

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FULL: Document = {
    "URL": f"https://user:{SECRET}@h.example/x?token={SECRET}#{SECRET}",
    "type": "raw",
    "checkSum": "0" * 32,
    "checkSumType": "md5",
    "description": "Debian",
    "diskGroupId": 1,
    "httpHeader": [{"key": "Authorization", "value": SECRET}],
    "configdrive": {
        "enable": True,
        "hostname": "web",
        "userData": SECRET,
        "userMetadatas": [{"key": "password", "value": SECRET}],
    },
    "options": {"proxy": f"http://u:{SECRET}@p", "bootType": "auto", "fetchRetries": 3},
}


def inner_objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(found for inner in value.values() for found in inner_objects(inner))]
    return [found for inner in value for found in inner_objects(inner)] if isinstance(value, list) else []


@st.composite
def spoiled(draw: st.DrawFn) -> Document:
    """The full request, with some values taken out, put in, or put in the place of others."""
    document: Document = json.loads(json.dumps(FULL))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(inner_objects(document)))
        names = st.sampled_from(sorted(place)) if place else st.just("x")
        name = draw(names | st.text(max_size=4))
        place.pop(name, None)
        if draw(st.booleans()):
            place[name] = draw(JSON | st.just([SECRET]) | st.just({SECRET[:3]: SECRET}))
    return document


def outcome(document: Any) -> Request | RequestError:
    try:
        return parse(document)
    except RequestError as error:
        return error


@settings(deadline=None, max_examples=300)
@given(spoiled() | st.dictionaries(st.text(max_size=6), JSON, max_size=4))
def test_any_object_gives_a_request_or_an_error_without_secrets(document: Document) -> None:
    found = outcome(document)
    if isinstance(found, RequestError):
        assert SECRET not in everything_said(found)
        assert found.message.isprintable()
        assert found.detail not in ("", found.message)
    else:
        assert SECRET not in repr(found)


def test_the_full_request_is_right() -> None:
    assert isinstance(outcome(FULL), Request)


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=40) | st.text(st.sampled_from('{}[]",:\\u0d8abnNI1e-. '), max_size=20).map(str.encode)
)
def test_any_bytes_give_an_object_or_an_error(text: bytes) -> None:
    try:
        assert isinstance(load_json(text), dict)
    except RequestError as error:
        assert error.message.isprintable()
        assert error.detail not in ("", error.message)


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '{"b": {"a": 1, "c": 2, "a": null}}', '{"a": 1, "\\u0061": 2}']
)
def test_a_name_that_stands_twice(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        load_json(text.encode())
    assert caught.value.message == "The request is wrong: a stands in it twice."


def test_a_name_that_may_be_a_secret_and_stands_twice() -> None:
    with pytest.raises(RequestError) as caught:
        load_json(f'{{"Bearer {SECRET}": 1, "Bearer {SECRET}": 2}}'.encode())
    assert SECRET not in everything_said(caught.value)


def test_the_same_name_in_two_objects() -> None:
    assert load_json(b'{"a": {"b": 1}, "c": {"b": 1}}') == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "kind"),
    [("[]", "a list"), ("null", "null"), ('"x"', "a string"), ("1", "an integer"), ("1.5", "a number")],
)
def test_what_is_no_object(text: str, kind: str) -> None:
    with pytest.raises(RequestError) as caught:
        load_json(text.encode())
    assert caught.value.message == "The request is wrong: it is not a JSON object."
    assert kind in caught.value.detail


def nested(opening: str) -> bytes:
    return (opening * 100_000).encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"a": }',
        b"\xff\xfe\xfa",
        b'{"a": "\xff"}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"diskGroupId": ' + b"9" * 5000 + b"}",
        nested("["),
        nested('{"a":'),
    ],
    ids=["empty", "open", "no value", "not UTF", "not UTF-8", "NaN", "Infinity", "huge", "lists", "objects"],
)
def test_what_is_no_json(text: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        load_json(text)
    assert caught.value.message == "The request is not valid JSON."


def test_the_place_of_a_mistake_is_told() -> None:
    with pytest.raises(RequestError, match=r"line 3, column 1"):
        load_json(b'{"a": 1,\n"b": 2,\n}')


def test_secrets_in_broken_json_are_not_shown() -> None:
    with pytest.raises(RequestError) as caught:
        load_json(f'{{"userData": "{SECRET}" "x"}}'.encode())
    assert SECRET not in everything_said(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be"])
def test_every_encoding_of_json(encoding: str) -> None:
    text = json.dumps(BASE | {"description": "ü€"}, ensure_ascii=False)
    assert parse(load_json(text.encode(encoding))).description == "ü€"
