"""What the header of an answer says about the bytes that follow (RFC 9110 unless noted)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# 19 digits are more bytes than a file can have; Python refuses to read numbers of thousands of them.
_NUMBER = re.compile(r"[0-9]{1,19}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What tells one version of a file from another."""

    etag: str | None
    last_modified: str | None
    total: int | None
    """Size of the whole file in bytes."""
    is_strong_date: bool = False
    """Whether ``last_modified`` can not stand for two versions of the file."""

    @property
    def validator(self) -> str | None:
        """The value for If-Range, which may only be a strong one (section 13.1.5)."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified if self.is_strong_date else None

    def contradicts(self, other: "Identity") -> bool:
        """Tell whether the two can not be the same version of the file."""
        pairs = (
            (_opaque(self.etag), _opaque(other.etag)),
            (self.last_modified, other.last_modified),
            (self.total, other.total),
        )
        return any(one is not None and two is not None and one != two for one, two in pairs)

    def completed_by(self, other: "Identity") -> "Identity":
        """Return what is known when another answer has told more."""
        return Identity(
            etag=self.etag or other.etag,
            last_modified=self.last_modified or other.last_modified,
            is_strong_date=self.is_strong_date if self.last_modified else other.is_strong_date,
            total=other.total if self.total is None else self.total,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRange:
    """Which bytes of the file an answer brings: ``first`` to ``last``, both included, of ``total``."""

    first: int
    last: int
    total: int | None


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return how many bytes follow; None when the server does not say, or says it in a way to be ignored."""
    text = headers.get("Content-Length", "").strip()
    # RFC 9112 section 6.3: a transfer coding overrides the length.
    return int(text) if _NUMBER.fullmatch(text) and "Transfer-Encoding" not in headers else None


def content_range(headers: Mapping[str, str]) -> ContentRange | None:
    """Return the range of a 206 answer; None when there is none that can be understood."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None:
        return None
    first, last, total = match.groups()
    return ContentRange(first=int(first), last=int(last), total=None if total == "*" else int(total))


def identity(headers: Mapping[str, str], *, total: int | None) -> Identity:
    """Return what identifies the file that an answer with ``headers`` brings."""
    return Identity(
        etag=headers.get("ETag"),
        last_modified=headers.get("Last-Modified"),
        total=total,
        is_strong_date=_strong_date(headers),
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the server asks to wait; None when it does not, or not understandably."""
    text = headers.get("Retry-After", "").strip()
    if _NUMBER.fullmatch(text):
        return float(text)
    moment = _date(text)
    return None if moment is None else max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _opaque(etag: str | None) -> str | None:
    # Some servers call the same version weak in one answer and strong in another.
    return etag.removeprefix("W/") if etag else None


def _strong_date(headers: Mapping[str, str]) -> bool:
    """Tell whether Last-Modified can not stand for two versions of the file (section 8.8.2.2)."""
    modified, sent = _date(headers.get("Last-Modified", "")), _date(headers.get("Date", ""))
    return modified is not None and sent is not None and sent - modified >= timedelta(seconds=1)


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year, or an offset, that no datetime can hold
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
