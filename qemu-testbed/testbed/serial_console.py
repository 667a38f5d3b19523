"""A virtual server's serial console: QEMU writes all of it to a file, and takes input from a socket."""

from __future__ import annotations

import re
import socket
from pathlib import Path

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()][0-9A-B]|\x1b[=>78cM]|\r")


class SerialConsole:
    """Reads the log as it grows. A position is a byte offset, so one can look at what came after it."""

    def __init__(self, log: Path, control_socket: Path) -> None:
        """Neither path has to exist yet: QEMU makes both."""
        self.log = log
        self._socket = control_socket

    def position(self) -> int:
        """How many bytes the server has written so far."""
        return self.log.stat().st_size if self.log.exists() else 0

    def text(self, since: int = 0) -> str:
        """What the server wrote after `since`, without terminal control sequences."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as handle:
            handle.seek(since)
            return _ESCAPES.sub("", handle.read().decode(errors="replace"))

    def tail(self, lines: int = 40) -> str:
        """The last lines that are not empty: what a person would see on the screen."""
        written = [line for line in self.text().splitlines() if line.strip()]
        return "\n".join(written[-lines:])

    def send(self, text: str) -> None:
        """Type `text` on the console. Nothing is read from the socket: the log has it all."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(self._socket))
            connection.sendall(text.encode())
