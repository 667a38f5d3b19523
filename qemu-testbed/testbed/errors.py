"""The test bed's own errors: what went wrong, and what the person at the keyboard can do about it."""

from __future__ import annotations


class TestbedError(Exception):
    """Base of every error the test bed raises on purpose.

    `hint` says what to do next; the command line prints it under the message.
    """

    __test__ = False  # pytest must not collect it for its name

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the hint beside the message, so that callers can show either."""
        super().__init__(message)
        self.hint = hint


class CommandFailed(TestbedError):
    """An external command ended with another exit code than 0, or ran out of time."""


class ServerTimeout(TestbedError):
    """A virtual server did not reach the awaited state in time; the message ends with its serial log."""


class ServerDied(TestbedError):
    """The QEMU process of a virtual server ended while something was still expected of it."""


class RemoteCommandFailed(TestbedError):
    """A command run in a virtual server over SSH ended with an unexpected exit code."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        """Keep the remote exit code, which tests compare."""
        super().__init__(message)
        self.exit_code = exit_code
