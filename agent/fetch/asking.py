"""What a transfer asks for an image, whether a server or a file system is behind it."""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self


class Reply(Protocol):
    """Brings an image, or part of it, or says why not. Every failure is a Broken."""

    status: int
    """As HTTP has it: 200 for all of the file, 206 for the rest of it."""
    headers: Mapping[str, str]

    def check(self, *, part: bool) -> None:
        """Raise Broken when no image follows; ``part``: only the rest was asked for."""
        ...

    def read(self) -> bytes:
        """Return the next bytes as soon as some are there; empty at the end."""
        ...

    def __enter__(self) -> Self:
        """Return the reply itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it; what was not read is lost."""
        ...


class Asker(Protocol):
    """Asks one place for the image, as often as needed."""

    def ask(self, extra: Mapping[str, str]) -> Reply:
        """Ask with the headers in ``extra``. Raises Broken."""
        ...

    def close(self) -> None:
        """Let go of the place."""
        ...
