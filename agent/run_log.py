"""The log of a deployment: every command as it was run, so that it can be pasted into a shell.

Only this project's own loggers are written: those of HTTP libraries put whole URLs into their lines.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OURS = ("agent", "configdrive", "partitioning")


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write what our loggers say to ``path``, anew, for the time of the block."""
    path.touch(mode=0o600)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
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
        handler.close()
