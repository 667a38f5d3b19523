"""Downloading an image into a spool."""

from collections.abc import Callable

from agent.effort import Effort
from agent.fetch.digest import Digest
from agent.fetch.downloaded import Downloaded
from agent.fetch.listener import FetchListener, SilentListener
from agent.fetch.memory import Budget
from agent.fetch.retry import RetryPolicy
from agent.fetch.source import Source
from agent.fetch.spool import Spool


def download(
    source: Source,
    spool: Spool,
    *,
    digest: Digest,
    budget: Budget,
    policy: RetryPolicy | None = None,
    listener: FetchListener | None = None,
    on_first_bytes: Callable[[bytes], None] | None = None,
    effort: Effort | None = None,
) -> Downloaded:
    """Fill ``spool`` with the image of ``source``; what is in it is dropped first.

    ``on_first_bytes`` is called with the first 64 KiB, or with all there is if that is less, so that
    something that is no image is refused before all of it has come; what it raises ends the download. It is
    called again when the download starts over, because the bytes may be others. ``effort`` is told of the
    time that goes to the network, and to digests.

    Raises FetchFailed, TooBigForMemory or ChecksumMismatch. No text in them holds a secret.
    """
    from agent.fetch.transfer import Transfer  # imports requests, which is slow and only needed here

    return Transfer(
        source=source,
        spool=spool,
        digest=digest,
        budget=budget,
        policy=policy or RetryPolicy(),
        listener=listener or SilentListener(),
        on_first_bytes=on_first_bytes or (lambda _first: None),
        effort=effort or Effort(),
    ).run()
