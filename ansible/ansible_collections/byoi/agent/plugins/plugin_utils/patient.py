"""Asks a server that can be out of reach for a while."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

from ansible.errors import AnsibleConnectionFailure, AnsibleError

Answer = TypeVar("Answer")

_PAUSE = 3.0


def reset(connection: object) -> None:
    """Forget a connection that is kept open; the next command makes a new one."""
    with contextlib.suppress(AttributeError, OSError, AnsibleError):
        connection.reset()  # type: ignore[attr-defined] # some kinds of connection have none


class Patient:
    """Asks until there is an answer, for ``patience`` seconds without one."""

    def __init__(self, connection: object, *, patience: float, tell: Callable[[str], None]) -> None:
        """``tell`` is given a line when the connection is lost, and when it is back."""
        self._connection = connection
        self._patience = patience
        self._tell = tell

    def ask(self, question: Callable[[], Answer]) -> Answer:
        """Give the answer; the last AnsibleConnectionFailure where none has come."""
        lost: float | None = None
        while True:
            try:
                answer = question()
            except AnsibleError as error:
                now = time.monotonic()
                if lost is None:
                    lost = now
                    self._tell("The connection is lost. What was started goes on; trying to connect again.")
                if now - lost >= self._patience:
                    raise AnsibleConnectionFailure(
                        f"The server has been out of reach for {self._patience:.0f} s. What was started there"
                        " goes on: run the playbook again to find out how it ends. The last error was:"
                        f" {error}"
                    ) from None
                time.sleep(min(_PAUSE, self._patience))
                reset(self._connection)
            else:
                if lost is not None:
                    self._tell("The connection is back.")
                return answer
