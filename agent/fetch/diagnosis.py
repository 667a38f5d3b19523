"""What an exception of requests, urllib3, ssl or the kernel means, in words of our own.

Their texts are never used: they contain the whole URL, query included, and header values. Importing this
module imports requests.
"""

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

import requests.exceptions as rq
import urllib3.exceptions as u3

from agent.fetch.broken import Broken

NETWORK_ERRORS: tuple[type[Exception], ...] = (
    rq.RequestException,
    u3.HTTPError,
    HTTPException,
    OSError,
    ValueError,
)
"""What asking a server and reading its answer may raise."""

_INVALID = (
    rq.InvalidURL,
    rq.InvalidSchema,
    rq.MissingSchema,
    rq.InvalidHeader,
    rq.InvalidProxyURL,
    u3.LocationValueError,
    UnicodeError,
)
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE")
_TLS_HINT = "Check this server's clock; for a certificate of your own, name its file with caFile (--ca-file)."


def diagnose(error: Exception) -> Broken:
    """Return what ``error``, one of NETWORK_ERRORS, means for the attempt it ended."""
    causes = list(_causes(error))
    for kinds, explain in _RULES:
        for cause in causes:
            if isinstance(cause, kinds):
                return explain(cause)
    return Broken(f"The connection failed ({type(error).__name__}).")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and everything it was made from; the libraries wrap one error in four others."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]


def _certificate(cause: BaseException) -> Broken:
    # OpenSSL's verdict, such as "unable to get local issuer certificate"; it names no URL.
    verdict = getattr(cause, "verify_message", "") or "its name does not match"
    return Broken(f"The server's certificate is not trusted: {verdict}.", hint=_TLS_HINT, final=True)


def _tls(cause: BaseException) -> Broken:
    reason = getattr(cause, "reason", None)
    if reason in _NOT_TLS:
        return Broken(
            "The server does not speak a TLS that can be used.",
            hint="Check the URL: is it https, and is the port right?",
            final=True,
        )
    return Broken("The encrypted connection (TLS) failed.")


def _invalid(cause: BaseException) -> Broken:
    if isinstance(cause, rq.InvalidHeader | UnicodeError):
        return Broken(
            "The URL or one of the HTTP headers has characters that can not be sent.",
            hint="Check the names and values in httpHeader: no line breaks, no space at the beginning.",
            final=True,
        )
    return Broken(
        "The URL, or that of the proxy, is not one that can be used.", hint="Check the URL.", final=True
    )


def _bad_header(_cause: BaseException) -> Broken:
    return Broken("The header of the server's answer contradicts itself.")


def _dns(_cause: BaseException) -> Broken:
    return Broken(
        "The host's name can not be resolved.",
        hint="Check the URL's host, and that this server has a name server (/etc/resolv.conf).",
    )


def _proxy(cause: BaseException) -> Broken:
    why = next((f": {os.strerror(error.errno or 0)}" for error in _system_errors(cause)), "")
    return Broken(
        f"The proxy can not be reached, or makes no connection{why}.",
        hint="Check the proxy's URL and password.",
    )


def _system_errors(error: BaseException) -> list[OSError]:
    """Those causes that the kernel named; a resolver's numbers are not the kernel's."""
    causes = [cause for cause in _causes(error) if isinstance(cause, OSError) and cause.errno]
    return [cause for cause in causes if not isinstance(cause, socket.gaierror | ssl.SSLError)]


def _no_connection(cause: BaseException) -> Broken:
    for error in _system_errors(cause):
        return _system(error)
    return Broken(
        "The server did not take the connection in time.", hint="Check the route, and firewalls on the way."
    )


def _read_timeout(_cause: BaseException) -> Broken:
    return Broken("The server fell silent.")


def _truncated(_cause: BaseException) -> Broken:
    return Broken("The connection was closed before the end.")


def _no_answer(_cause: BaseException) -> Broken:
    return Broken("The server closed the connection without an answer.")


def _system(cause: BaseException) -> Broken:
    number = getattr(cause, "errno", None)
    if not number:
        return Broken(f"The connection failed ({type(cause).__name__}).")
    return Broken(f"The connection failed: {os.strerror(number)}.")


def _not_http(_cause: BaseException) -> Broken:
    return Broken("The server answered with something that is not HTTP.")


# The first rule that fits any of the causes wins: from the most particular to the most general.
_RULES: tuple[tuple[type | tuple[type, ...], Callable[[BaseException], Broken]], ...] = (
    ((ssl.SSLCertVerificationError,), _certificate),
    # First: requests turns it into its own InvalidHeader, which otherwise is about the request's headers.
    ((u3.InvalidHeader,), _bad_header),
    (_INVALID, _invalid),
    ((u3.ProxyError, rq.ProxyError), _proxy),
    ((socket.gaierror, u3.NameResolutionError), _dns),
    ((u3.ConnectTimeoutError,), _no_connection),
    ((u3.ReadTimeoutError, TimeoutError), _read_timeout),
    ((IncompleteRead, u3.IncompleteRead, u3.InvalidChunkLength), _truncated),
    ((RemoteDisconnected,), _no_answer),
    ((ssl.SSLError,), _tls),
    ((ConnectionError, BrokenPipeError), _system),
    ((HTTPException, u3.ProtocolError), _not_http),
    ((OSError,), _system),
    ((ValueError,), _invalid),
)
