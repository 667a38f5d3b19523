"""An HTTP answer that brings an image, or part of it, or says why not."""

from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Self

import requests

from agent.fetch.broken import Broken, refused
from agent.fetch.diagnosis import NETWORK_ERRORS, diagnose
from agent.fetch.headers import retry_after
from agent.fetch.watchdog import Watchdog

# The most that one read asks for. A TLS record brings 16 KiB whatever is asked, and from 128 KiB on malloc
# maps and unmaps memory for each read: 256 KiB took twice the CPU time in the kernel over TLS.
_PIECE = 124 << 10
_WITHHELD = " The URL redirects to another host, and httpHeader is never sent to one."


class Answer:
    """The header is here; the body is read piece by piece. Every failure is a Broken."""

    def __init__(
        self, response: requests.Response, watchdog: Watchdog, *, stall_timeout: float, withheld: bool
    ) -> None:
        """Wrap a response; ``withheld`` tells that the customer's headers were not sent to this host."""
        self._response = response
        self._watchdog = watchdog
        self._stall_timeout = stall_timeout
        self._withheld = withheld
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers

    def check(self, *, part: bool) -> None:
        """Raise Broken when the status means that no image follows; ``part``: only the rest was asked for."""
        if self.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            return
        broken = refused(self.status, retry_after=retry_after(self.headers))
        if self._withheld and self.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            broken.reason += _WITHHELD
        if part and self.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            broken.final, broken.start_over = False, True
        raise broken

    def read(self) -> bytes:
        """Return the next bytes as they are stored on the server, as soon as some are there.

        Nothing is decoded: an image that the server calls gzip-encoded is a gzip file, and its length and
        checksum are those of the file. Empty means that the body is complete, as far as HTTP can tell.
        """
        piece, failure = b"", None
        self._watchdog.arm(self._stall_timeout)
        try:
            piece = self._response.raw.read1(_PIECE, decode_content=False)
        except NETWORK_ERRORS as error:
            failure = diagnose(error)
        if self._watchdog.disarm():
            raise Broken(f"The transfer stalled: nothing came for {self._stall_timeout:.0f} s.")
        if failure is not None:
            raise failure
        return piece

    def close(self) -> None:
        """Close the connection; what was not read is lost."""
        self._response.close()

    def __enter__(self) -> Self:
        """Return the answer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()
