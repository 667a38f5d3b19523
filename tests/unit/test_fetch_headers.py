from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.fetch.headers import ContentRange, Identity, content_length, content_range, identity, retry_after

DATE = "Mon, 01 Jan 2024 00:00:10 GMT"
OLDER = "Mon, 01 Jan 2024 00:00:09 GMT"
FAR = "Mon, 01 Jan 99999999999 00:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"Content-Length": "12"}, 12),
        ({"Content-Length": " 12 "}, 12),
        ({"Content-Length": "0"}, 0),
        ({"Content-Length": "-1"}, None),
        ({"Content-Length": "1, 2"}, None),
        ({"Content-Length": "²"}, None),
        ({"Content-Length": "9" * 19}, 10**19 - 1),
        ({"Content-Length": "9" * 20}, None),
        ({"Content-Length": "9" * 5000}, None),
        ({"Content-Length": "12", "Transfer-Encoding": "chunked"}, None),
        ({}, None),
    ],
)
def test_content_length(headers: dict[str, str], length: int | None) -> None:
    assert content_length(headers) == length


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bytes 5-9/10", ContentRange(first=5, last=9, total=10)),
        ("bytes 5-9/*", ContentRange(first=5, last=9, total=None)),
        ("bytes */10", None),
        (f"bytes 5-9/{'1' * 20}", None),
        (f"bytes {'5' * 5000}-9/10", None),
        (f"bytes 5-{'9' * 5000}/10", None),
        ("lines 5-9/10", None),
        ("", None),
    ],
)
def test_content_range(text: str, found: ContentRange | None) -> None:
    assert content_range({"Content-Range": text}) == found


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"a"'}, '"a"'),
        ({"ETag": '"a"', "Last-Modified": OLDER, "Date": DATE}, '"a"'),
        ({"ETag": 'W/"a"', "Last-Modified": OLDER, "Date": DATE}, OLDER),
        ({"ETag": 'W/"a"'}, None),
        ({"Last-Modified": DATE, "Date": DATE}, None),
        ({"Last-Modified": OLDER}, None),
        ({"Last-Modified": "yesterday", "Date": DATE}, None),
        ({"Last-Modified": FAR, "Date": DATE}, None),
        ({"Last-Modified": OLDER, "Date": FAR}, None),
        ({}, None),
    ],
)
def test_only_a_strong_validator_is_one(headers: dict[str, str], validator: str | None) -> None:
    assert identity(headers, total=None).validator == validator


def known(etag: str | None = None, total: int | None = None) -> Identity:
    return Identity(etag=etag, last_modified=None, total=total)


@pytest.mark.parametrize(
    ("one", "two", "contradicts"),
    [
        (known('"a"', 5), known('"a"', 5), False),
        (known('"a"', 5), known('W/"a"', 5), False),
        (known('"a"'), known('"b"'), True),
        (known(total=5), known(total=6), True),
        (known(total=0), known(total=6), True),
        (known('"a"', 5), known(), False),
    ],
)
def test_versions_of_a_file(one: Identity, two: Identity, *, contradicts: bool) -> None:
    assert one.contradicts(two) is contradicts
    assert two.contradicts(one) is contradicts


def test_what_is_known_is_not_forgotten() -> None:
    assert known('"a"').completed_by(known('"b"', 5)) == known('"a"', 5)
    assert known(total=4).completed_by(known('"b"', 5)) == known('"b"', 4)


def test_retry_after_in_seconds_or_as_a_date() -> None:
    assert retry_after({"Retry-After": "17"}) == 17
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 95 < (retry_after({"Retry-After": soon}) or 0) <= 100
    assert retry_after({"Retry-After": DATE}) == 0
    assert retry_after({}) is None
    assert retry_after({"Retry-After": FAR}) is None
    assert retry_after({"Retry-After": "Mon, 01 Jan 2024 00:00:10 +99999999999999"}) is None
    assert retry_after({"Retry-After": "9" * 5000}) is None


@given(st.text())
def test_nonsense_is_no_error(text: str) -> None:
    nonsense = dict.fromkeys(
        ("Retry-After", "Content-Range", "Content-Length", "Last-Modified", "Date"), text
    )
    retry_after(nonsense)
    content_range(nonsense)
    content_length(nonsense)
    assert identity(nonsense, total=None).validator is None
