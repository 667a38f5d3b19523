"""Asking a server for an image: one session for a download, redirects followed by hand.

Importing this module imports requests, so only ``download`` does, when it is called.
"""

import base64
import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import unquote, urljoin

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies
from urllib3.util import parse_url

from agent.fetch.answer import Answer
from agent.fetch.broken import Broken
from agent.fetch.ca_file import ca_file_fault
from agent.fetch.connection import WatchedAdapter
from agent.fetch.diagnosis import NETWORK_ERRORS, diagnose
from agent.fetch.retry import RetryPolicy
from agent.fetch.source import RESERVED_HEADERS, Source
from agent.fetch.watchdog import Watchdog
from agent.version import VERSION

_REDIRECTS = 10
_DEFAULT_PORTS = {"http": 80, "https": 443}
_REDIRECT_HINT = "Use the image's final URL, or ask whoever runs the server."


class Origin(NamedTuple):
    """Who is asked (RFC 6454)."""

    scheme: str
    host: str
    port: int


class _Target(NamedTuple):
    """One URL, taken apart by the very parser that the connection is made with.

    With two parsers a URL such as http://a\\@b would go to one host and count as the other.
    """

    url: str
    origin: Origin
    authorization: str | None


class Session:
    """Asks for the image of a Source, as often as needed. Every failure is a Broken."""

    def __init__(self, source: Source, policy: RetryPolicy) -> None:
        """Prepare; nothing is sent yet. Raises Broken when the URL or the CA file is of no use."""
        # urllib3 logs URLs, their query included, also in warnings. This is an application: nobody else
        # in this process needs that log.
        logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)
        self._source = source
        self._policy = policy
        self._start = _target(source.url)
        self._verify = _trusted(source.ca_file)
        self._watchdog = Watchdog()
        self._requests = requests.Session()
        # With trust_env a .netrc would replace the Authorization header that the customer gave.
        self._requests.trust_env = False
        self._requests.headers.clear()
        self._requests.mount("http://", WatchedAdapter(self._watchdog))
        self._requests.mount("https://", WatchedAdapter(self._watchdog))

    def ask(self, extra: Mapping[str, str]) -> Answer:
        """Send a GET with the headers in ``extra`` and return the answer, whatever its status."""
        target = self._start
        for _ in range(_REDIRECTS + 1):
            response = self._send(target, extra)
            location = _location(response)
            if location is None:
                return Answer(
                    response,
                    self._watchdog,
                    stall_timeout=self._policy.stall_timeout,
                    withheld=bool(self._source.headers) and not self._is_own(target.origin),
                )
            response.close()
            target = _follow(target, location)
        raise Broken(f"It redirects more than {_REDIRECTS} times.", hint=_REDIRECT_HINT, final=True)

    def post(self, json_text: bytes) -> Answer:
        """Send a POST with a body of JSON and return the answer, whatever its status; none is followed."""
        response = self._send(self._start, {"Content-Type": "application/json"}, json_text)
        return Answer(response, self._watchdog, stall_timeout=self._policy.stall_timeout, withheld=False)

    def close(self) -> None:
        """Close the connection."""
        self._requests.close()
        self._watchdog.close()

    def _send(
        self, target: _Target, extra: Mapping[str, str], body: bytes | None = None
    ) -> requests.Response:
        policy = self._policy
        longest = max(policy.answer_timeout, policy.stall_timeout)
        self._watchdog.arm(policy.connect_timeout + policy.answer_timeout)
        response, failure = None, None
        try:
            method = "GET" if body is None else "POST"
            request = requests.Request(method, target.url, headers=self._headers(target, extra), data=body)
            response = self._requests.send(
                self._requests.prepare_request(request),
                stream=True,
                allow_redirects=False,
                timeout=(policy.connect_timeout, longest),
                verify=self._verify,
                proxies=self._proxies(target.url),
            )
        except NETWORK_ERRORS as error:
            failure = diagnose(error)
        if self._watchdog.disarm():
            failure = Broken("The server did not answer in time.")
            if response is not None:  # a header that was cut off here can pass for a complete one
                response.close()
        # Raised out here, so that the library's exception, with its URL, is not chained to ours.
        if failure is not None or response is None:
            raise failure or AssertionError("neither an answer nor an error")
        return response

    def _headers(self, target: _Target, extra: Mapping[str, str]) -> CaseInsensitiveDict[str | bytes]:
        headers: CaseInsensitiveDict[str | bytes] = CaseInsensitiveDict()
        headers["User-Agent"] = f"byoi-agent/{VERSION}"
        headers["Accept"] = "*/*"
        if target.authorization:
            headers["Authorization"] = target.authorization
        if self._is_own(target.origin):
            headers.update(self._secrets())
        headers["Accept-Encoding"] = "identity"
        headers.update(extra)
        return headers

    def _secrets(self) -> dict[str, bytes]:
        """What only the host in the customer's own URL may see. A repeated name makes one list."""
        lists: dict[str, list[str]] = {}
        if self._start.authorization:
            lists["authorization"] = [self._start.authorization]
        own = [(name, value) for name, value in self._source.headers if name.lower() not in RESERVED_HEADERS]
        if any(name.lower() == "authorization" for name, _ in own):
            lists.clear()
        for name, value in own:
            lists.setdefault(name, []).append(value)
        return {name: ", ".join(values).encode() for name, values in lists.items()}

    def _is_own(self, origin: Origin) -> bool:
        own = self._start.origin
        upgraded = Origin("https", own.host, 443) if own.scheme == "http" and own.port == 80 else own
        return origin in (own, upgraded)

    def _proxies(self, url: str) -> dict[str, str]:
        if self._source.proxy:
            return {"http": self._source.proxy, "https": self._source.proxy}
        return get_environ_proxies(url, no_proxy=None) if self._source.trust_env else {}

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()


def _location(response: requests.Response) -> str | None:
    """Where an answer redirects to; None when it does not."""
    if not response.is_redirect:
        return None
    try:
        # http.client reads headers as Latin-1; what servers send is UTF-8.
        return response.headers["Location"].encode("latin-1").decode()
    except UnicodeDecodeError:
        response.close()
    raise Broken("It redirects to something that is not a URL.", hint=_REDIRECT_HINT, final=True)


def _follow(current: _Target, location: str) -> _Target:
    following = _target(urljoin(current.url, location))
    if current.origin.scheme == "https" and following.origin.scheme == "http":
        raise Broken("It redirects from https to http, which is not safe.", hint=_REDIRECT_HINT, final=True)
    return following


def _target(url: str) -> _Target:
    failure = None
    try:
        parts = parse_url(url.strip())
    except NETWORK_ERRORS as error:
        failure = diagnose(error)
    if failure is not None:
        raise failure
    if parts.scheme not in _DEFAULT_PORTS or not parts.host:
        raise Broken("It is not an http or https URL.", hint="Check the URL.", final=True)
    origin = Origin(parts.scheme, parts.host, parts.port or _DEFAULT_PORTS[parts.scheme])
    clean = parts._replace(auth=None, fragment=None).url
    return _Target(clean, origin, _basic(parts.auth) if parts.auth else None)


def _basic(user_info: str) -> str:
    """Return the Authorization header (RFC 7617, with its charset UTF-8)."""
    user, _, password = user_info.partition(":")
    pair = f"{unquote(user)}:{unquote(password)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _trusted(ca_file: Path | None) -> str | bool:
    """Which certificates to trust, in the form requests wants it: a file, a directory, or its own (True).

    Requests trusts only those it brings along; an operator who has added one to the system's expects
    that it is trusted, as curl does.
    """
    if ca_file is not None:
        if (fault := ca_file_fault(ca_file)) is not None:
            raise Broken(
                f"The CA file {ca_file} is of no use: {fault}.",
                hint="Check the option caFile.",
                final=True,
            )
        return str(ca_file)
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    return paths.capath if paths.capath and any(Path(paths.capath).iterdir()) else True
