"""The first bytes of a file: they are looked at before anybody gets them."""

from collections.abc import Callable

from agent.fetch.downloaded import FIRST_BYTES


class Beginning:
    """Holds them back until there are enough of them, so that they can still come from somewhere else."""

    def __init__(self, look: Callable[[bytes], None]) -> None:
        """``look`` may raise what is wrong with them."""
        self._look = look
        self._bytes = bytearray()
        self._seen = False

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._bytes)

    def forget(self) -> None:
        """They come again, from the first one on."""
        self._bytes.clear()
        self._seen = False

    def add(self, piece: bytes) -> bytes:
        """Take the next bytes, and give those that are free. Raises what ``look`` raises."""
        if self._seen:
            return piece
        self._bytes += piece
        return self.end() if len(self._bytes) >= FIRST_BYTES else b""

    def end(self) -> bytes:
        """No more of them will come: give those that are held back. Raises what ``look`` raises."""
        found = bytes(self._bytes)
        if found:
            self._look(found[:FIRST_BYTES])
            self._seen = True
        self._bytes.clear()
        return found
