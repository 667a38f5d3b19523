"""Getting at the image: all of it into memory, or its beginning, while the rest is on its way."""

from contextlib import ExitStack
from typing import Protocol

from agent.deployment.context import Context
from agent.deployment.in_memory import InMemory, PackedFile
from agent.deployment.on_its_way import OnItsWay
from agent.deployment.plan import FileSum
from agent.deployment.staging import room_for_unpacked, window_for_stream
from agent.deployment.steps import Step
from agent.deployment.target import Target
from agent.errors import Refused
from agent.fetch.errors import TooBigForMemory
from agent.images.image import Image
from agent.request.model import Staging

_NO_SUM = (
    "There are mirrors and no checksum: they are of use until the image is being written, and hardly then."
    " With a checksum (checkSum) they take over in the middle of it, too."
)
_NOT_IN_MEMORY = "the image is larger than the memory; it is written while it is downloaded"


class Staged(Protocol):
    """An image that has been fetched, or is being fetched."""

    @property
    def file_sum(self) -> FileSum | None:
        """The sum of the file; None as long as it is on its way."""
        ...

    def open(self) -> Image:
        """Look at the image. Raises ImageError, and what the download ended with."""
        ...

    def progress(self, done: int, total: int | None) -> tuple[int, int | None]:
        """Tell how far the deployment is, of which ``done`` of ``total`` bytes of the image were written."""
        ...

    def look_around(self) -> None:
        """Pass on what happens to the download."""
        ...

    def check(self) -> None:
        """Raise what the download has ended with, if it has ended badly."""
        ...

    def explain_damage(self) -> None:
        """The file has turned out to be damaged: raise ChecksumMismatch where that is why."""
        ...

    def complete(self) -> None:
        """Make sure that all of the file has come, and its sum was right; raises what the download raises."""
        ...


def stage(context: Context, target: Target, stack: ExitStack) -> Staged:
    """Fetch the image as the request wants it. What is held is given back when ``stack`` is closed."""
    with context.step(Step.FETCH):
        if context.request.options.staging is Staging.STREAM:
            return _streamed(context, target, stack)
        try:
            return InMemory(context, target, stack)
        except PackedFile:
            return _unpacked(context, target, stack)
        except TooBigForMemory as too_big:
            return _in_parts(context, target, stack, too_big)


def _unpacked(context: Context, target: Target, stack: ExitStack) -> Staged:
    """Unpack it into memory while it comes; where there is not enough, go on from what is there."""
    staged = OnItsWay(context, target, stack, window=window_for_stream(), unpacked_window=room_for_unpacked())
    too_big = staged.wait_until_whole()
    if too_big is None:
        return staged
    if context.request.options.staging is Staging.MEMORY:
        raise too_big
    context.reporter.note(_NOT_IN_MEMORY)
    staged.go_on_in_parts()
    return staged


def _in_parts(context: Context, target: Target, stack: ExitStack, too_big: TooBigForMemory) -> Staged:
    if context.request.options.staging is Staging.MEMORY:
        raise too_big
    context.reporter.note(_NOT_IN_MEMORY)
    try:
        return _streamed(context, target, stack)
    except Refused:
        raise too_big from None


def _streamed(context: Context, target: Target, stack: ExitStack) -> OnItsWay:
    if context.request.options.mirrors and context.request.check_sum is None:
        context.reporter.warn(_NO_SUM)
    return OnItsWay(context, target, stack, window=window_for_stream())
