"""An end for every wait on a connection.

A socket's timeout starts anew with each byte, so a server that sends one byte of its header (or of a chunk's
length) a minute keeps a reader for years. The watchdog shuts the connection down when the time is over,
whatever the reader is waiting in: TLS handshake, header, or body.
"""

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

_ENDING = 5.0
"""Seconds to wait for the thread; it does nothing that takes time."""


class Watchdog:
    """Watches one connection at a time, from a thread of its own. ``arm`` and ``disarm`` are cheap."""

    def __init__(self) -> None:
        """Start the thread, idle."""
        # The lock is taken by itself, and not through the condition: a signal that is heard within the
        # condition's own __enter__ would leave it taken for ever.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._handle: socket.socket | None = None
        self._deadline: float | None = None
        self._waking: float | None = None
        self._closed = False
        self._bitten = False
        self._thread = threading.Thread(target=self._run, name="fetch-watchdog", daemon=True)
        self._thread.start()

    def watch(self, connection: socket.socket) -> socket.socket:
        """Watch this connection from now on, and return it.

        A duplicate is kept: TLS takes the descriptor of the original away, and closing it frees the number.
        """
        with self._lock:
            self._drop()
            self._handle = connection.dup()
            if self._bitten:
                self._cut()
        return connection

    def arm(self, seconds: float) -> None:
        """Shut the connection down in ``seconds``, unless armed anew or disarmed before."""
        with self._lock:
            self._bitten = False
            self._deadline = time.monotonic() + seconds
            # The thread wakes at the old deadline anyway and then sees the new one; waking it for each
            # piece of a body would cost more than reading the piece.
            if self._waking is None or self._deadline < self._waking:
                self._changed.notify()

    def disarm(self) -> bool:
        """Leave the connection alone, and tell whether time had run out before.

        If it had, no error and no end of the data means what it seems to mean.
        """
        with self._lock:
            self._deadline = None
            return self._bitten

    def close(self) -> None:
        """End the thread; the connection itself is left as it is."""
        with self._lock:
            self._closed = True
            self._drop()
            self._changed.notify()
        self._thread.join(_ENDING)

    def _run(self) -> None:
        with self._lock:
            while not self._closed:
                if self._deadline is not None and self._deadline <= time.monotonic():
                    self._deadline = None
                    self._bitten = True
                    self._cut()
                self._waking = self._deadline
                left = None if self._deadline is None else self._deadline - time.monotonic()
                self._changed.wait(left)

    def _cut(self) -> None:
        if self._handle is not None:
            with contextlib.suppress(OSError):  # it is closed already
                self._handle.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None

    def __enter__(self) -> Self:
        """Return the watchdog itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread."""
        self.close()
