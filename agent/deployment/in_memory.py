"""An image that is all in memory before it is looked at."""

from contextlib import ExitStack

from agent.deployment.context import Context
from agent.deployment.file_sum import file_sum_of, tell_sum
from agent.deployment.staging import (
    FetchReport,
    digest_of,
    early_check,
    packing_in,
    policy_of,
    source_of,
)
from agent.deployment.target import Target
from agent.fetch.download import download
from agent.fetch.errors import ChecksumMismatch
from agent.fetch.memory import MemoryBudget
from agent.fetch.spool import Spool
from agent.images.image import Image
from agent.images.open_image import open_image
from agent.request.model import ImageType


class PackedFile(Exception):
    """The file has to be unpacked while it comes; nothing of it is held any more."""


class _RoomOncePlain(MemoryBudget):
    """Asks for room for all of the file when its first bytes have told that it is going to be held."""

    def __init__(self) -> None:
        super().__init__()
        self._is_plain = False
        self._to_come = 0

    def require(self, size: int) -> None:
        self._to_come = size
        if self._is_plain:
            super().require(size)

    def take(self, size: int) -> None:
        super().take(size)
        self._to_come -= size

    def found_plain(self) -> None:
        """Raise TooBigForMemory when there is no room for what is still to come."""
        self._is_plain = True
        self.require(self._to_come)


class InMemory:
    """A Staged: the file has come, and its sum was right."""

    def __init__(self, context: Context, target: Target, stack: ExitStack) -> None:
        """Download it. Raises PackedFile, and what ``download`` raises."""
        check = early_check(context.request, target.disk)
        budget = _RoomOncePlain()
        report = FetchReport(context.request, target.disk, context.reporter, context.effort)

        def on_first_bytes(first: bytes) -> None:
            if packing_in(first, context.request) is not None:
                raise PackedFile
            check(first)
            # First: what is too large for the disk as well is not helped by more memory.
            report.found_plain()
            budget.found_plain()

        with ExitStack() as until_whole:
            self._spool = until_whole.enter_context(Spool())
            try:
                downloaded = download(
                    source_of(context.request),
                    self._spool,
                    digest=digest_of(context.request),
                    budget=budget,
                    policy=policy_of(context.request),
                    listener=report,
                    effort=context.effort,
                    on_first_bytes=on_first_bytes,
                )
            except ChecksumMismatch as error:
                tell_sum(context, error.actual)
                raise
            self.file_sum = file_sum_of(context, downloaded)
            self._type = ImageType(context.request.type)
            stack.push(until_whole.pop_all())

    def open(self) -> Image:
        """Look at the image. Raises ImageError."""
        return open_image(self._spool, self._type)

    def progress(self, done: int, total: int | None) -> tuple[int, int | None]:
        """Tell how far the deployment is, of which ``done`` of ``total`` bytes of the image were written."""
        return done, total

    def look_around(self) -> None:
        """Do nothing: the download has ended."""

    def check(self) -> None:
        """Do nothing: it has ended well."""

    def explain_damage(self) -> None:
        """Do nothing: it is the file that was asked for."""

    def complete(self) -> None:
        """Do nothing: all has come."""
