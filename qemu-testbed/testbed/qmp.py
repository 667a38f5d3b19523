"""A small client for QEMU's machine protocol: commands, and the events that QEMU sends by itself.

Protocol: https://www.qemu.org/docs/master/interop/qmp-spec.html
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import ServerDied, TestbedError

_COMMAND_SECONDS = 30.0


class QmpClient:
    """One connection to one QEMU process. A reader thread files answers and events as they come."""

    def __init__(self, path: Path) -> None:
        """Connect to the socket at `path`, which QEMU has to listen on already, and leave capability mode."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._changed = threading.Condition()
        self._events: list[dict[str, Any]] = []
        self._answers: dict[int, dict[str, Any]] = {}
        self._closed = False
        self._next_id = 1
        self._reader = threading.Thread(target=self._read, name="qmp", daemon=True)
        self._reader.start()
        self.execute("qmp_capabilities")

    def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """Send a command and return its `return` value; a refusal is TestbedError in QEMU's own words."""
        with self._changed:
            number = self._next_id
            self._next_id += 1
        message = {"execute": command, "arguments": dict(arguments or {}), "id": number}
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise ServerDied(f"QMP {command}: {error}") from error
        answer = self._wait_for_answer(number, command)
        if "error" in answer:
            raise TestbedError(f"QMP {command}: {answer['error'].get('desc')}")
        return answer["return"]

    def monitor(self, command_line: str) -> str:
        """Run a command of the human monitor, for the few things QMP itself cannot tell."""
        return str(self.execute("human-monitor-command", {"command-line": command_line}))

    def event_count(self, name: str) -> int:
        """How many events of this name have come so far."""
        with self._changed:
            return sum(1 for event in self._events if event["event"] == name)

    def wait_event(self, name: str, *, timeout: float, already_seen: int = 0) -> dict[str, Any]:
        """Return the event of this name that follows the first `already_seen` ones, or raise TimeoutError."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                matching = [event for event in self._events if event["event"] == name]
                if len(matching) > already_seen:
                    return matching[already_seen]
                remaining = deadline - time.monotonic()
                if self._closed or remaining <= 0:
                    raise TimeoutError(f"no {name} event")
                self._changed.wait(remaining)

    def close(self) -> None:
        """Close the connection and end the reader thread."""
        with contextlib.suppress(OSError):  # QEMU closed its side first, which is the usual end
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(timeout=5)
        self._lines.close()
        self._socket.close()

    def _wait_for_answer(self, number: int, command: str) -> dict[str, Any]:
        deadline = time.monotonic() + _COMMAND_SECONDS
        with self._changed:
            while number not in self._answers:
                remaining = deadline - time.monotonic()
                if self._closed or remaining <= 0:
                    raise ServerDied(f"QMP {command}: no answer from QEMU")
                self._changed.wait(remaining)
            return self._answers.pop(number)

    def _read(self) -> None:
        try:
            for line in self._lines:
                self._file(json.loads(line))
        except (OSError, ValueError):
            pass  # the connection ended in the middle of a line
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _file(self, message: dict[str, Any]) -> None:
        with self._changed:
            if "event" in message:
                self._events.append(message)
            elif "id" in message:
                self._answers[message["id"]] = message
            self._changed.notify_all()
