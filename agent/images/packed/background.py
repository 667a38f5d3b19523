"""Unpacking that goes on while the file comes, and while what was unpacked is used."""

import threading
import time
from collections.abc import Callable, Iterator

from agent.effort import Effort, Limit
from agent.fetch.stream_spool import StreamSpool
from agent.images.errors import PUBLISH_AGAIN, BadFormat
from agent.images.packed.packing import Packing
from agent.images.packed.unpack import unpacked
from agent.images.pieces import ZeroPiece
from agent.images.raw_pieces import SECTOR, runs_in


class BackgroundUnpacking:
    """Fills a spool from another one in a thread of its own; what goes wrong is raised for those who wait.

    What unpacks to zeroes takes no memory. A last sector that is not whole is filled up with zeroes.
    """

    def __init__(
        self,
        packing: Packing,
        file: StreamSpool,
        into: StreamSpool,
        *,
        check: Callable[[int], None],
        effort: Effort,
    ) -> None:
        """Begin, and tell ``effort`` of the time it takes.

        ``check`` gets how many bytes there are going to be, again and again, and may raise.
        """
        self._packing = packing
        self._file = file
        self._into = into
        self._check = check
        self._effort = effort
        self.error: BaseException | None = None
        """What it has ended with, when it has ended badly."""
        self._thread = threading.Thread(target=self._work, name="unpack", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, so long at the most; tell whether it has come."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            self._unpack()
            self._into.finish()
        except BaseException as error:
            self.error = error
            self._into.fail(error)

    def _unpack(self) -> None:
        pieces = unpacked(self._packing, self._file)
        while (piece := self._following(pieces)) is not None:
            self._add(piece)
        if not self._into.arrived:
            raise BadFormat(f"The {self._packing.file} has nothing in it.", hint=PUBLISH_AGAIN)
        self._into.append_zeroes(-self._into.arrived % SECTOR)

    def _following(self, pieces: Iterator[bytes]) -> bytes | None:
        began, waited = time.monotonic(), self._file.waited
        piece = next(pieces, None)
        waited = self._file.waited - waited
        self._effort.add(Limit.NETWORK, waited)
        self._effort.add(Limit.PROCESSOR, time.monotonic() - began - waited)
        return piece

    def _add(self, piece: bytes) -> None:
        self._check(self._into.arrived + len(piece))
        for part in runs_in(piece, 0):
            if isinstance(part, ZeroPiece):
                self._into.append_zeroes(part.length)
            else:
                for buffer in part.buffers:
                    self._into.append(buffer)
