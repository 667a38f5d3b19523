"""A terminal (pty(7)) with a process on it."""

import os
import pty
import selectors
import time

TIMEOUT = 60.0


class Terminal:
    """The other end of the terminal that a process runs on: what a person sees and types."""

    def __init__(self) -> None:
        self._near, self.far = pty.openpty()
        self._seen = b""

    def close(self) -> None:
        os.close(self._near)

    def type(self, keys: bytes) -> None:
        os.write(self._near, keys)

    def read_until(self, wanted: bytes) -> str:
        """What stood on the screen when ``wanted`` came."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._near, selectors.EVENT_READ)
            end = time.monotonic() + TIMEOUT
            while wanted not in self._seen and time.monotonic() < end:
                if selector.select(0.1):
                    self._seen += os.read(self._near, 65536)
        assert wanted in self._seen, self._seen
        return self._seen.decode(errors="replace")

    def rest(self) -> str:
        """What stood on the screen in the end; Linux reports EIO when nobody is on the other side."""
        try:
            while piece := os.read(self._near, 65536):
                self._seen += piece
        except OSError:
            pass
        return self._seen.decode(errors="replace")
