"""Getting at the image: all of it into memory, or its beginning, while the rest is on its way."""

from contextlib import ExitStack
from typing import Protocol

from agent.deployment.context import Context
from agent.deployment.plan import FileSum
from agent.deployment.staging import WINDOW, FetchReport, digest_of, early_check, policy_of, source_of
from agent.deployment.steps import Step
from agent.deployment.target import Target
from agent.errors import Refused
from agent.fetch.background import BackgroundDownload
from agent.fetch.download import download
from agent.fetch.downloaded import Downloaded
from agent.fetch.errors import ChecksumMismatch, TooBigForMemory
from agent.fetch.memory import MemoryBudget
from agent.fetch.spool import Spool
from agent.fetch.stream_spool import StreamSpool
from agent.images.arriving import open_arriving
from agent.images.image import Image
from agent.images.open_image import open_image
from agent.reporting.events import SumKnown
from agent.request.model import ImageType, Staging

_PIECE = 1 << 20


class Staged(Protocol):
    """An image that has been fetched, or is being fetched."""

    @property
    def file_sum(self) -> FileSum | None:
        """The sum of the file; None as long as it is on its way."""
        ...

    def open(self) -> Image:
        """Look at the image. Raises ImageError, and what the download ended with."""
        ...

    def look_around(self) -> None:
        """Pass on what happens to the download."""
        ...

    def check(self) -> None:
        """Raise what the download has ended with, if it has ended badly."""
        ...

    def complete(self) -> None:
        """Make sure that all of the file has come, and its sum was right; raises what the download raises."""
        ...


def stage(context: Context, target: Target, stack: ExitStack) -> Staged:
    """Fetch the image as the request wants it. What is held is given back when ``stack`` is closed."""
    staging = context.request.options.staging
    with context.step(Step.FETCH):
        if staging is Staging.STREAM:
            return _OnItsWay(context, target, stack)
        try:
            return _InMemory(context, target, stack)
        except TooBigForMemory as too_big:
            if staging is Staging.MEMORY or context.request.type is ImageType.OVA:
                raise
            context.reporter.note("the image is larger than the memory; it is written while it is downloaded")
            try:
                return _OnItsWay(context, target, stack)
            except Refused:
                raise too_big from None


class _InMemory:
    def __init__(self, context: Context, target: Target, stack: ExitStack) -> None:
        with ExitStack() as until_whole:
            self._spool = until_whole.enter_context(Spool())
            try:
                downloaded = download(
                    source_of(context.request),
                    self._spool,
                    digest=digest_of(context.request),
                    budget=MemoryBudget(),
                    policy=policy_of(context.request),
                    listener=FetchReport(context.request, target.disk, context.reporter),
                    on_first_bytes=early_check(context.request, target.disk),
                )
            except ChecksumMismatch as error:
                _tell_sum(context, error.actual)
                raise
            self.file_sum = _file_sum(context, downloaded)
            self._type = ImageType(context.request.type)
            stack.push(until_whole.pop_all())

    def open(self) -> Image:
        return open_image(self._spool, self._type)

    def look_around(self) -> None:
        pass

    def check(self) -> None:
        pass

    def complete(self) -> None:
        pass


class _OnItsWay:
    def __init__(self, context: Context, target: Target, stack: ExitStack) -> None:
        self.file_sum: FileSum | None = None
        self._context = context
        self._spool = stack.enter_context(StreamSpool(WINDOW))
        self._download = BackgroundDownload(
            source_of(context.request),
            self._spool,
            digest=digest_of(context.request),
            policy=policy_of(context.request),
            check=early_check(context.request, target.disk),
        )
        stack.callback(self._download.stop)
        self._image = open_arriving(self._spool, ImageType(context.request.type))

    def open(self) -> Image:
        return self._image

    def look_around(self) -> None:
        self._download.pass_on_notes(self._context.reporter.note)

    def check(self) -> None:
        if (error := self._download.error) is not None:
            raise self._explained(error)

    def _explained(self, error: BaseException) -> BaseException:
        if isinstance(error, ChecksumMismatch):
            _tell_sum(self._context, error.actual)
        return error

    def complete(self) -> None:
        at = 0
        # What the image does not use of its file has to come all the same: the sum is that of all.
        while (end := self._spool.come(at + _PIECE)) > at:
            self._spool.release(at, end)
            at = end
        try:
            downloaded = self._download.result()
        except ChecksumMismatch as error:
            raise self._explained(error) from None
        finally:
            self.look_around()
        self.file_sum = _file_sum(self._context, downloaded)


def _tell_sum(context: Context, value: str) -> None:
    context.reporter.tell(SumKnown(value))


def _file_sum(context: Context, downloaded: Downloaded) -> FileSum:
    kind, value = next(iter(downloaded.digests.items()))
    _tell_sum(context, value)
    return FileSum(kind=kind, value=value, asked_for=context.request.check_sum is not None)
