"""Signals: the first one ends the deployment in good order, the rest are not needed."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from agent.errors import Interrupted

_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into Interrupted for the time of the block.

    SIGHUP is ignored: a lost terminal or SSH connection does not end a deployment.
    """
    before = {number: signal.signal(number, _interrupt) for number in _ENDING}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let signals pass unheard for the time of the block, which has to be short and to finish the work.

    They are not only held back in this thread: another thread would take them, and Python would still
    run the handler in the main one.
    """
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (*_ENDING, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for ending in _ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise Interrupted(number, signal.Signals(number).name)
