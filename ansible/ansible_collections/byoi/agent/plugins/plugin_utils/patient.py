"""Asks a server that can be out of reach for a while."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure, AnsibleError

Answer = TypeVar("Answer")

_PAUSE = 3.0
_ALIVE = "-o ServerAliveInterval=10 -o ServerAliveCountMax=3"
_LAST_WORDS = ("ssh_extra_args", "sftp_extra_args", "scp_extra_args")
"""Ansible's options for what it puts behind all other words of a command."""


def reset(connection: object) -> None:
    """Forget a connection that is kept open; the next command makes a new one."""
    with contextlib.suppress(AttributeError, OSError, AnsibleError):
        connection.reset()  # type: ignore[attr-defined] # some kinds of connection have none


def notice_silence(connection: object) -> None:
    """Let ssh give up a connection on which nothing comes any more: a server that goes down may not close it.

    Without that a command waits until the system does so, after hours. ssh takes the first of two values, so
    what somebody has set counts.
    """
    with contextlib.suppress(AttributeError, KeyError, AnsibleError):  # other kinds of connection
        for option in _LAST_WORDS:
            given = connection.get_option(option) or ""  # type: ignore[attr-defined]
            connection.set_option(option, f"{given} {_ALIVE}".strip())  # type: ignore[attr-defined]
        reset(connection)  # one that is kept open goes by what it was begun with


class Patient:
    """Asks again where no answer comes, for ``seconds`` in a row."""

    def __init__(
        self,
        connection: object,
        *,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``tell`` is given a line when the connection is lost, and when it is back."""
        self._connection = connection
        self._tell = tell
        self._clock = clock
        self._sleep = sleep

    def reach(self, question: Callable[[], Answer], *, seconds: float) -> Answer:
        """Ask a server where nothing has been started; what is wrong for good is raised at once."""
        try:
            return self._ask(question, seconds, lost="The connection is lost; trying again.")
        except _OutOfReach as error:
            raise error.last from None

    def follow(self, question: Callable[[], Answer], *, seconds: float) -> Answer:
        """Ask a server where something goes on; AnsibleConnectionFailure where it is out of reach."""

        def ask() -> Answer:
            try:
                return question()
            # A file that could not be transferred, a module that was killed: it has been reached before.
            except AnsibleError as error:
                raise AnsibleConnectionFailure(str(error)) from error

        try:
            return self._ask(
                ask, seconds, lost="The connection is lost; the deployment goes on. Trying again."
            )
        except _OutOfReach as error:
            raise AnsibleConnectionFailure(
                f"The server has been out of reach for {seconds:.0f} s. What was started there goes on: run"
                f" the playbook again to find out how it ends. The last error: {error.last}"
            ) from None

    def _ask(self, question: Callable[[], Answer], seconds: float, *, lost: str) -> Answer:
        since: float | None = None
        while True:
            try:
                answer = question()
            except AnsibleAuthenticationFailure as error:
                raise _OutOfReach(error) from None
            except AnsibleConnectionFailure as error:
                if since is None:
                    since = self._clock()
                    self._tell(lost)
                if self._clock() - since >= seconds:
                    raise _OutOfReach(error) from None
                self._sleep(min(_PAUSE, seconds))
                reset(self._connection)
            else:
                if since is not None:
                    self._tell("The connection is back.")
                return answer


class _OutOfReach(Exception):
    """No answer has come; ``last`` is why."""

    def __init__(self, last: AnsibleError) -> None:
        super().__init__(str(last))
        self.last = last
