"""A stream whose reader may stop reading: a full pipe, a terminal held by Ctrl-S, a dead SSH connection.

A deployment must neither wait for such a reader nor become deaf to signals because of it.
"""

import errno
import io
import os
import select
import stat
import time
from collections.abc import Callable
from typing import TextIO

PATIENCE = 10.0
"""Seconds that a reader may take to make room."""

_PIECE = 4096
"""Bytes (PIPE_BUF): a pipe that is ready takes so many without waiting."""

_POLL = 0.1


class PatientStream(io.TextIOBase):
    """Writes text and waits so many seconds for room; then it raises TimeoutError."""

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        *,
        patience: float | None = None,
    ) -> None:
        """Write to the descriptor of ``stream``; to the stream itself where it has none."""
        self._stream = stream
        self._clock = clock
        self._patience = PATIENCE if patience is None else patience
        self._fd = _descriptor(stream)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Give the encoding of the stream."""
        return self._stream.encoding or "utf-8"

    def isatty(self) -> bool:
        """Tell whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Give the stream's own descriptor."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def ready(self) -> bool:
        """Tell whether there is room now."""
        return self._fd is None or _has_room(self._fd, 0)

    def write(self, text: str) -> int:
        """Write ``text``, all of it, at once. Raises OSError, and TimeoutError where nobody reads."""
        if self._fd is None:
            self._stream.write(text)
            self._stream.flush()
        else:
            self._write(self._fd, text.encode(self.encoding, errors="backslashreplace"))
        return len(text)

    def _write(self, fd: int, data: bytes) -> None:
        rest = memoryview(data)
        deadline = self._clock() + self._patience
        while rest:
            if self._clock() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, f"nobody read for {self._patience:.0f} s")
            if not _has_room(fd, _POLL):
                continue
            try:
                rest = rest[os.write(fd, rest[:_PIECE]) :]
            except BlockingIOError:
                time.sleep(_POLL)


def _descriptor(stream: TextIO) -> int | None:
    try:
        fd = stream.fileno()
        stream.flush()
    except (OSError, ValueError):
        return None
    return _not_blocking(fd)


def _not_blocking(fd: int) -> int:
    """Open the pipe or terminal behind ``fd`` once more, so that writing never waits.

    O_NONBLOCK belongs to the open file, which is shared with the shell and whoever else has the terminal.
    What can not be opened again (a socket, a terminal of another user) is written to as it is, when it is
    ready. Regular files are always ready, and a second opening would begin at their start.
    """
    if not (stat.S_ISFIFO(os.fstat(fd).st_mode) or os.isatty(fd)):
        return fd
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return fd


def _has_room(fd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    # An error, such as a closed pipe, counts as room: writing tells what is wrong.
    return bool(poll.poll(seconds * 1000))
