"""Boot mode's parameters on the kernel's command line: byoi.request=URL and its like."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.errors import RequestError

_PREFIX = "byoi."
_KNOWN = ("request", "status", "token", "service")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BootParameters:
    """What the command line says; both URLs and the token may hold secrets."""

    request_url: str | None
    status_url: str | None
    """None, too, where what is given is no URL."""
    token: str | None
    """Sent to both URLs as ``Authorization: Bearer``."""
    service: str | None
    """The server's name in the status, where the request gives none."""
    faults: tuple[str, ...]
    """What does nothing on the command line though it was meant to, a sentence each."""

    def required_request_url(self) -> str:
        """Give the URL of the request. Raises RequestError where there is none."""
        if self.request_url is None:
            raise _wrong("byoi.request is not on it, so there is no request to take.")
        if not _is_url(self.request_url):
            raise _wrong("byoi.request is not an http or https URL.")
        return self.request_url


def parse_boot_parameters(text: str) -> BootParameters:
    """Take the parameters from the text of /proc/cmdline; of two with one name the last counts."""
    given = {name: value for name, value in _words(text) if value}
    faults = [f"{_PREFIX}{name} is not known." for name in given if name not in _KNOWN]
    status_url = given.get("status")
    if status_url is not None and not _is_url(status_url):
        faults.append("byoi.status is not an http or https URL, so no status is posted.")
        status_url = None
    return BootParameters(
        request_url=given.get("request"),
        status_url=status_url,
        token=given.get("token"),
        service=given.get("service"),
        faults=tuple(faults),
    )


def _words(text: str) -> Iterator[tuple[str, str]]:
    """Give names, without the prefix, and values of what is ours.

    The kernel knows one kind of quotation mark and no escapes: its admin-guide/kernel-parameters.rst.
    """
    reader = shlex.shlex(text, posix=True)
    reader.quotes, reader.escape, reader.commenters = '"', "", ""
    reader.whitespace_split = True
    try:
        words = list(reader)
    except ValueError:  # a mark that is not closed: the kernel takes the rest of the line
        words = text.replace('"', "").split()
    for word in words:
        name, _, value = word.partition("=")
        if name.startswith(_PREFIX):
            yield name.removeprefix(_PREFIX), value


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _wrong(detail: str) -> RequestError:
    return RequestError(
        "The kernel's command line is wrong.",
        detail=detail,
        hint="Boot with byoi.request=URL, and byoi.status=URL to be told how it goes; both http or https.",
    )
