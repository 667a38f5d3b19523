"""Boot mode's parameters on the kernel's command line: byoi.request=URL and its like."""

import difflib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from agent.boot_mode.server_identity import IDENTITIES, filled
from agent.errors import RequestError
from agent.request import ssh_keys

_PREFIX = "byoi."
_URLS = ("request", "status", "config")
_DECIDING = ("request", "config")
_KNOWN = (*_URLS, "token", "service", "ssh-key")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BootParameters:
    """What the command line says; the URLs and the token may hold secrets."""

    request_url: str | None
    status_url: str | None
    """None, too, where what is given is no URL."""
    config_url: str | None
    """Where the file that pins disk groups is."""
    token: str | None
    """Sent to these URLs as ``Authorization: Bearer``."""
    service: str | None
    """The server's name in the status, where the request gives none."""
    faults: tuple[str, ...]
    """What does nothing on the command line though it was meant to, a sentence each."""
    hindrances: tuple[str, ...]
    """What decides about a disk or a request, and can not be used."""

    @property
    def prepares_only(self) -> bool:
        """Whether a person will deploy by hand, with the disk group file that is taken before."""
        return self.request_url is None and self.config_url is not None and not self.hindrances

    def require_usable(self) -> None:
        """Raise RequestError where something that decides about a disk can not be used."""
        if self.hindrances:
            raise _wrong(" ".join(self.hindrances))
        if self.request_url is None and self.config_url is None:
            raise _wrong("byoi.request is not on it, so there is no request to take.")


def parse_boot_parameters(text: str) -> BootParameters:
    """Take the parameters from the text of /proc/cmdline; of two with one name the last counts."""
    words = list(_words(text))
    faults = [fault for name, value in words if name == "ssh-key" for fault in _key_faults(value)]
    given: dict[str, str] = {}
    hindrances = []
    for name, value in dict(words).items():
        if name in _URLS:
            value, fault = _url(name, value)
        else:
            fault = _fault(name, value)
        if not fault:
            given[name] = value
        elif _decides(name):
            hindrances.append(fault)
        else:
            faults.append(f"{fault[:-1]}, so no status is posted." if name == "status" else fault)
    return BootParameters(
        request_url=given.get("request"),
        status_url=given.get("status"),
        config_url=given.get("config"),
        token=given.get("token"),
        service=given.get("service"),
        faults=tuple(faults),
        hindrances=tuple(hindrances),
    )


def _url(name: str, value: str) -> tuple[str, str]:
    """Give the URL with what tells this server from others filled in, and what is wrong with it."""
    url, unknown = filled(value)
    if unknown:
        known = " and ".join(f"{{{what}}}" for what in IDENTITIES)
        if unknown[0] not in IDENTITIES:
            return url, f"{_PREFIX}{name}: {known} are filled in, and nothing else in such brackets."
        return url, f"{_PREFIX}{name}: this server's firmware does not tell its {unknown[0]}."
    return url, "" if _is_url(url) else f"{_PREFIX}{name} is not an http or https URL."


def _fault(name: str, value: str) -> str:
    if name not in _KNOWN:
        meant = difflib.get_close_matches(name, _KNOWN, n=1)
        question = f" Is {_PREFIX}{meant[0]} meant?" if meant else ""
        return f"{_PREFIX}{name} is not known.{question}"
    return "" if value else f"{_PREFIX}{name} is empty."


def _decides(name: str) -> bool:
    """Tell whether a deployment without it could be another one, or go to another disk. So could a slip."""
    return bool(difflib.get_close_matches(name, _DECIDING, cutoff=0.7))


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


def _key_faults(value: str) -> list[str]:
    # The rescue system's SSH server takes the keys itself, and leaves out in silence what it can not read.
    try:
        ssh_keys.check(unquote(value))
    except ValueError:
        return ["byoi.ssh-key is not an OpenSSH public key; a space in it is written %20."]
    return []


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
