"""An image that is looked at, and written, while its file comes; unpacked on the way where it is packed."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from agent.deployment.context import Context
from agent.deployment.file_sum import file_sum_of, tell_sum
from agent.deployment.plan import FileSum
from agent.deployment.staging import (
    PACKED_WINDOW,
    digest_of,
    early_check,
    may_be_local,
    packing_in,
    policy_of,
    source_of,
    window_for_unpacked,
)
from agent.deployment.target import Target
from agent.deployment.waiting import Beside, Waiting
from agent.effort import Effort, Limit
from agent.fetch.background import BackgroundDownload
from agent.fetch.downloaded import FIRST_BYTES
from agent.fetch.errors import ChecksumMismatch, FetchFailed, TooBigForMemory
from agent.fetch.memory import MemoryBudget
from agent.fetch.redaction import public_url
from agent.fetch.stream_spool import StreamSpool
from agent.images.arriving import open_arriving, open_arriving_ova
from agent.images.errors import BadFormat
from agent.images.image import Image
from agent.images.inspect import require_fit
from agent.images.magic import is_qcow2
from agent.images.open_image import open_image
from agent.images.ova.passing import PassingArchive
from agent.images.packed.background import BackgroundUnpacking
from agent.images.packed.packing import Packing
from agent.request.model import ImageType

_LOOK = 0.1
"""Seconds after which progress is told anew."""
_NAP = 0.01
"""Seconds to wait for more where all that comes is passed over: less than fills any window."""


class OnItsWay:
    """A Staged: its beginning has come."""

    def __init__(
        self,
        context: Context,
        target: Target,
        stack: ExitStack,
        *,
        window: int,
        unpacked_window: int | None = None,
    ) -> None:
        """Begin with the download, and hold up to ``window`` bytes of the image's file.

        Of what a packed file unpacks to up to ``unpacked_window`` bytes are held; where that is None, as many
        as for any file that is written while it comes. Raises what is wrong with the beginning of the file,
        and what the download ends with before.
        """
        self.file_sum: FileSum | None = None
        self._context = context
        self._target = target
        self._type = ImageType(context.request.type)
        self._archive = _archive(self._type, stack)
        beside = Beside(context.effort)
        passes = None if self._archive is None else _counted(self._archive.feed, beside)
        self._file = self._spool = stack.enter_context(StreamSpool(window, passes))
        source = source_of(context.request)
        self._effort = Waiting(context.effort, is_local=may_be_local(source), beside=beside)
        self._unpacking: BackgroundUnpacking | None = None
        self._packing: Packing | None = None
        self._written: tuple[int, int | None] | None = None
        self._waited = 0.0
        self._shown = 0
        self._download = BackgroundDownload(
            source,
            self._file,
            digest=digest_of(context.request),
            policy=policy_of(context.request),
            check=early_check(context.request, target.disk),
            effort=beside,
        )
        stack.callback(self._download.stop)
        self._file.on_wait = self._tell_while_waiting
        self._image: Image | None = None
        try:
            first = self._file.pread(self._file.come(FIRST_BYTES), 0)
            self._packing = packing_in(first, context.request)
            if self._packing is None:
                self._image = self._opened()
        finally:
            self.look_around()
        if self._packing is not None:
            self._unpack(self._packing, stack, unpacked_window)

    def _unpack(self, packing: Packing, stack: ExitStack, window: int | None) -> None:
        # There may be no room at all for what is unpacked: the file's beginning has to come all the same.
        self._file.set_window(PACKED_WINDOW)
        self._file.on_wait = lambda: None  # from now on another thread waits there
        self._spool = stack.enter_context(
            StreamSpool(window_for_unpacked(packing) if window is None else window)
        )
        self._spool.on_wait = self._tell_while_waiting
        disk = self._target.disk
        self._unpacking = BackgroundUnpacking(
            packing,
            self._file,
            self._spool,
            check=lambda size: require_fit(size, disk_size=disk.size, disk_path=str(disk.path), is_all=False),
            effort=self._effort,
        )
        self._context.reporter.note(f"the file is packed ({packing.value}); it is unpacked while it comes")

    def wait_until_whole(self) -> TooBigForMemory | None:
        """Wait until a packed file has been unpacked as a whole; give the reason where there is no room.

        Raises FetchFailed where the file is not packed, and what unpacking has ended with.
        """
        if self._unpacking is None:
            raise self._changed()
        granted = self._spool.most_held
        while not self._unpacking.wait(_LOOK):
            self._tell()
            self._look_at_memory(granted)
            if self._spool.is_full:
                held = self._spool.most_held
                return TooBigForMemory(needed=held + 1, available=held)
        self.look_around()
        self._raise_explained(self._unpacking.error)
        self._finish()
        return None

    def _look_at_memory(self, granted: int) -> None:
        """Hold what was granted, or less, where something else has taken the memory meanwhile."""
        held = self._spool.arrived - self._spool.used
        self._spool.set_window(min(granted, held + MemoryBudget().room()))

    def _changed(self) -> FetchFailed:
        return FetchFailed(
            url=public_url(self._context.request.url),
            reason="The file changed between two requests: it was packed at first, and is not any more.",
            hint="See that the server always sends the same file, and start the deployment again.",
            status=None,
            attempts=2,
        )

    def go_on_in_parts(self) -> None:
        """Go on with what has been unpacked so far, and hold no more than it, or than that takes.

        Raises TooBigForMemory.
        """
        if self._packing is not None:
            held = self._spool.arrived - self._spool.used
            self._spool.set_window(max(window_for_unpacked(self._packing, held=held), held))

    def open(self) -> Image:
        """Look at the image. Raises ImageError, and what the download ended with."""
        if self._image is None:
            self._image = self._opened()
        return self._image

    def _opened(self) -> Image:
        if self._archive is not None:
            return open_arriving_ova(self._spool, self._archive, self._check_and_tell)
        if self._unpacking is None:
            return open_arriving(self._spool, self._type)
        _refuse_packed_qcow2(self._spool.pread(self._spool.come(FIRST_BYTES), 0), self._packing)
        size = self._file.known_size
        if self.file_sum is not None:
            return replace(open_image(self._spool, self._type), file_size=size)
        image = open_arriving(self._spool, self._type)
        return replace(image, file_size=size, held=image.held + PACKED_WINDOW)

    def progress(self, done: int, total: int | None) -> tuple[int, int | None]:
        """Tell how far the deployment is, of which ``done`` of ``total`` bytes of the image were written.

        What is left of the file says more of the time that is left than what is left of the image.
        """
        self._written = done, total
        if self._unpacking is not None:
            return self._progress_of_packed(done)
        if self.file_sum is None and self._file.known_size is not None:
            return self._file.used, self._file.known_size
        return done, total

    def _progress_of_packed(self, done: int) -> tuple[int, int | None]:
        if self._spool.known_size is not None or self._file.known_size is None:
            return done, self._spool.known_size
        # Of the file as much as was written of what it has unpacked to so far, which may be far ahead; and
        # not all of it, as more is going to come out.
        share = self._file.used * done // max(1, self._spool.arrived)
        self._shown = max(self._shown, min(share, self._file.known_size - 1))
        return self._shown, self._file.known_size

    def look_around(self) -> None:
        """Pass on what happens to the download."""
        if self._unpacking is None:
            waited = self._file.waited
            self._effort.add(Limit.NETWORK, waited - self._waited)
            self._waited = waited
        self._download.pass_on_notes(self._context.reporter.note)

    def check(self) -> None:
        """Raise what the download, or unpacking, has ended with, if it has ended badly."""
        self._raise_error_of(self._download)
        if self._unpacking is not None:
            self._raise_explained(self._unpacking.error)

    def _raise_error_of(self, *works: BackgroundDownload | BackgroundUnpacking | None) -> None:
        for work in works:
            if work is not None and work.error is not None:
                raise self._told(work.error)

    def complete(self) -> None:
        """Make sure that all of the file has come, and its sum was right; raises what the download raises."""
        if self.file_sum is None:
            self._pass(self._spool)
            self._finish()

    def _pass(self, spool: StreamSpool) -> None:
        """Let all of a file come: what is not used of it has to come all the same, as the sum is of all."""
        at, has_ended = 0, False
        while not has_ended:
            # First: what comes between the two is seen the next time.
            has_ended, end = spool.has_ended, spool.arrived
            spool.release(at, end)
            if at == end and not has_ended:
                self._nap(self._unpacking if spool is not self._file else None)
            at = end

    def _nap(self, unpacking: BackgroundUnpacking | None) -> None:
        """Wait a little for more. Raises what the download, or ``unpacking``, has ended with."""
        self._raise_error_of(self._download, unpacking)
        with self._effort.spent(Limit.NETWORK):
            time.sleep(_NAP)
        self._tell()

    def _tell(self) -> None:
        """Tell how far the download is."""
        self.look_around()
        self._context.reporter.progress(*self._download.so_far, self._context.effort.limit())

    def _tell_while_waiting(self) -> None:
        """Tell how far it is where nothing is written meanwhile: of the writing, once that has begun."""
        self.look_around()
        so_far = self._download.so_far if self._written is None else self.progress(*self._written)
        self._context.reporter.progress(*so_far, self._context.effort.limit())

    def _check_and_tell(self) -> None:
        self.check()
        self._tell_while_waiting()

    def _finish(self) -> None:
        while not self._download.wait(_LOOK):
            self._tell()
        try:
            downloaded = self._download.result()
        except ChecksumMismatch as error:
            raise self._told(error) from None
        finally:
            self.look_around()
        if self._archive is not None:
            self._archive.check()
        self.file_sum = file_sum_of(self._context, downloaded)

    def explain_damage(self) -> None:
        """Raise ChecksumMismatch where all of the file has another sum than the one that was asked for."""
        if self.file_sum is None and self._context.request.check_sum is not None:
            self._pass(self._file)
            self._finish()

    def _raise_explained(self, error: BaseException | None) -> None:
        if isinstance(error, BadFormat):
            self.explain_damage()
        if error is not None:
            raise self._told(error)

    def _told(self, error: BaseException) -> BaseException:
        if isinstance(error, ChecksumMismatch):
            tell_sum(self._context, error.actual)
        return error


def _refuse_packed_qcow2(first: bytes, packing: Packing | None) -> None:
    """Raise BadFormat: that it is no raw image alone would send people from one type to the other."""
    if packing is not None and is_qcow2(first):
        raise BadFormat(
            f"There is a qcow2 image in the {packing.file}, and only raw images are unpacked on the way.",
            hint="Unpack it, publish the qcow2 image, which may be compressed by itself, and set type to"
            " qcow2.",
        )


def _archive(image_type: ImageType, stack: ExitStack) -> PassingArchive | None:
    if image_type is not ImageType.OVA:
        return None
    archive = PassingArchive()
    stack.callback(archive.stop)
    return archive


def _counted(feed: Callable[[bytes | memoryview], None], effort: Effort) -> Callable[..., None]:
    """Give ``feed``, and let ``effort`` know how long it takes: it waits while sums are computed."""

    def counted(data: bytes | memoryview) -> None:
        with effort.spent(Limit.PROCESSOR):
            feed(data)

    return counted
