"""The log of a deployment: every command as it was run, so that it can be pasted into a shell.

Only this project's own loggers are written: those of HTTP libraries put whole URLs into their lines.
"""

import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.run_directory import unusable

_OURS = ("agent", "configdrive", "partitioning")


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write what our loggers say to ``path``, anew, for the time of the block."""
    handler = _opened(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    for logger in map(logging.getLogger, _OURS):
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in map(logging.getLogger, _OURS):
            logger.removeHandler(handler)
            logger.propagate = True
        with contextlib.suppress(OSError):
            handler.close()


class _ModestHandler(logging.FileHandler):
    """Does not write about a full file system to standard error, which may be held by a reader."""

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        pass


def _opened(path: Path) -> logging.FileHandler:
    try:
        path.touch(mode=0o600)
        return _ModestHandler(path, mode="w", encoding="utf-8")
    except OSError as error:
        raise unusable(path, error) from None
