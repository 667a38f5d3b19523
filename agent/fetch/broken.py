"""Why an attempt to download ended before the image was whole."""

from http import HTTPStatus

_TRY_AGAIN_STATUS = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
_SERVER_HINT = "Check that the server is up and can be reached from here, then start the deployment again."
_URL_HINT = "Check the URL; it must be reachable from the server that is being deployed."
_NO_FILE_HINT = "The server has no such file: check the path in the URL."
_ACCESS_HINT = (
    "Check the credentials: httpHeader, user and password in the URL, or whether a signed URL has expired."
)
_PROXY_HINT = "Check the proxy's URL, its user and password."


class Broken(Exception):
    """An attempt failed. Its texts are ours: those of HTTP libraries contain URLs with their secrets."""

    def __init__(
        self,
        reason: str,
        *,
        hint: str = _SERVER_HINT,
        final: bool = False,
        status: int | None = None,
        retry_after: float | None = None,
        start_over: bool = False,
    ) -> None:
        """Keep what decides on a retry.

        ``final``: another attempt would fare no better. ``retry_after``: seconds the server asked to wait.
        ``start_over``: what is there can not be continued.
        """
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.final = final
        self.status = status
        self.retry_after = retry_after
        self.start_over = start_over


def refused(status: int, *, retry_after: float | None = None) -> Broken:
    """Return what an answer means whose status is not one that brings an image."""
    final = not (status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _TRY_AGAIN_STATUS)
    return Broken(
        f"The server answered with HTTP {status}{_phrase(status)}.",
        hint=_status_hint(status),
        final=final,
        status=status,
        retry_after=retry_after,
    )


def _phrase(status: int) -> str:
    # The server's own reason phrase may say anything; the registered one is known to be harmless.
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""


def _status_hint(status: int) -> str:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return _ACCESS_HINT
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return _PROXY_HINT
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return _NO_FILE_HINT
    return _SERVER_HINT if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _URL_HINT
