"""A file that comes in pieces, as tarfile wants it: read once, in order, and all that passes is shown."""

import io
import tarfile
from collections.abc import Callable

from agent.images.ova.archive import MOST_AT_ONCE, MOST_IN_ALL


class ForwardStream(io.RawIOBase):
    """Seeks forward only."""

    def __init__(self, following: Callable[[], bytes | None], show: Callable[[bytes, int], None]) -> None:
        """``following`` gives the next piece, or None at the end; ``show`` gets what passes, and where."""
        self._following = following
        self._show = show
        self._piece = b""
        self._at = 0
        self._left = MOST_IN_ALL
        self.last_read = b""

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be passed over."""
        return True

    def tell(self) -> int:
        """Give how many bytes have passed."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Let all bytes before ``offset`` pass, or all that there are. ValueError where they have passed."""
        if whence != io.SEEK_SET or offset < self._at:
            raise ValueError("what has passed does not come again")
        while self._at < offset and self._take(offset - self._at):
            pass
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes, fewer at the end only."""
        self._left -= max(0, size)
        if not 0 <= size <= MOST_AT_ONCE or self._left < 0:
            raise tarfile.ReadError("a header is too long")
        data = bytearray()
        while len(data) < size and (more := self._take(size - len(data))):
            data += more
        self.last_read = bytes(data)
        return self.last_read

    def _take(self, most: int) -> bytes:
        if not self._piece:
            self._piece = self._following() or b""
        taken, self._piece = self._piece[:most], self._piece[most:]
        self._show(taken, self._at)
        self._at += len(taken)
        return taken
