"""URLs as they may be shown: in a status, a message, a log."""

from urllib.parse import urlsplit, urlunsplit

NOT_A_URL = "(not an http, https or file URL)"


def public_url(url: str) -> str:
    """Return ``url`` without user info, query and fragment, any of which may hold a secret.

    What is not an http, https or file URL is not shown at all: where its secrets begin and end can not be
    told.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return NOT_A_URL
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return printable(urlunsplit(("file", "", parts.path, "", "")))
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme not in ("http", "https") or not host:
        return NOT_A_URL
    return printable(urlunsplit((parts.scheme, host, parts.path, "", "")))


def printable(text: str) -> str:
    """Return ``text`` on one line: nothing in it may move the cursor of the operator's terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
