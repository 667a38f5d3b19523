"""A download that goes on while what has come is used."""

import queue
import threading
from collections.abc import Callable

from agent.effort import Effort
from agent.fetch.digest import Digest
from agent.fetch.download import download
from agent.fetch.downloaded import Downloaded
from agent.fetch.memory import NoBudget
from agent.fetch.retry import RetryPolicy
from agent.fetch.source import Source
from agent.fetch.stream_spool import Stopped, StreamSpool


class BackgroundDownload:
    """Fills a spool from a thread of its own; what goes wrong is raised for those who wait for bytes.

    The thread is a daemon: a server that sends nothing keeps nobody who has had enough.
    """

    def __init__(
        self,
        source: Source,
        spool: StreamSpool,
        *,
        digest: Digest,
        policy: RetryPolicy,
        check: Callable[[bytes], None],
        effort: Effort | None = None,
    ) -> None:
        """Begin. ``check`` sees the first bytes, and ``effort`` is told where time goes, see ``download``."""
        self._spool = spool
        self._notes: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._downloaded: Downloaded | None = None
        self.so_far: tuple[int, int | None] = (0, None)
        """How many bytes have come, and how many there are going to be where that is known."""
        self.error: BaseException | None = None
        """What it has ended with, when it has ended badly."""

        def work() -> None:
            try:
                self._downloaded = download(
                    source,
                    spool,
                    digest=digest,
                    budget=NoBudget(),
                    policy=policy,
                    listener=self,
                    on_first_bytes=check,
                    effort=effort,
                )
            except BaseException as error:
                self.error = error
                spool.fail(error)

        self._thread = threading.Thread(target=work, name="fetch", daemon=True)
        self._thread.start()

    def progress(self, done: int, total: int | None) -> None:
        """Hear how far it is."""
        self.so_far = done, total

    def note(self, text: str) -> None:
        """Hear what happens to the connection."""
        self._notes.put(text)

    def pass_on_notes(self, to: Callable[[str], None]) -> None:
        """Pass on what has been heard since the last time, in the calling thread."""
        while not self._notes.empty():
            to(self._notes.get())

    def wait(self, seconds: float) -> bool:
        """Wait for the end, so long at the most; tell whether it has come."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Downloaded:
        """Wait for the end, and give it; raises what ``download`` raises."""
        self._thread.join()
        if self._downloaded is None:
            raise self.error or Stopped
        return self._downloaded

    def stop(self) -> None:
        """Let it end soon; nobody waits for that."""
        self._spool.fail(Stopped())
