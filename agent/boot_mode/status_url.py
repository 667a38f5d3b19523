"""The URL that the status is posted to."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from agent.boot_mode.retries import POST_TIMES
from agent.fetch.broken import refused
from agent.fetch.retry import RetryPolicy
from agent.fetch.source import Source

if TYPE_CHECKING:
    from agent.fetch.session import Session


class StatusUrl:
    """Posts to it; a session is made with the first post."""

    def __init__(self, source: Source, policy: RetryPolicy = POST_TIMES) -> None:
        """``source`` is the URL and what is sent with each post."""
        self._source = source
        self._policy = policy
        self._session: Session | None = None

    def post(self, body: bytes) -> None:
        """Send one status, as JSON. Raises Broken unless the answer says that it was taken (2xx)."""
        if self._session is None:
            from agent.fetch.session import Session

            self._session = Session(self._source, self._policy)
        with self._session.post(body) as answer:
            if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                raise refused(answer.status)

    def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            self._session.close()
