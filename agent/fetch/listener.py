"""Who wants to hear how a download goes."""

from typing import Protocol


class FetchListener(Protocol):
    """Hears of a download. An exception raised in here ends the download and is passed on as it is."""

    def progress(self, done: int, total: int | None) -> None:
        """``done`` of ``total`` bytes are here; at most ten calls a second, and one at the end.

        ``done`` goes back when the download has to start again. ``total`` is None when it is not known.
        """
        ...

    def note(self, text: str) -> None:
        """Something a person watching should know, such as a lost connection. No secrets are in it."""
        ...


class SilentListener:
    """Hears everything and says nothing."""

    def progress(self, done: int, total: int | None) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""
