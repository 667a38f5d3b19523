"""The status file, which ``byoi-agent status`` reads while and after a deployment runs."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from agent.reporting import events
from agent.status import Status

_INTERVAL = 1.0


class StatusFile:
    """Keeps the file as the status is; a reader sees the old one or the new one, never half of one."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to ``path``; its directory has to exist."""
        self._path = path
        self._clock = clock
        self._last_progress = 0.0

    def handle(self, event: events.Event, status: Status) -> None:
        """Write the status; progress at most once a second."""
        if isinstance(event, events.Progressed):
            moment = self._clock()
            if moment - self._last_progress < _INTERVAL:
                return
            self._last_progress = moment
        write(self._path, status)


def write(path: Path, status: Status) -> None:
    """Put ``status`` in place of what ``path`` held."""
    new = path.with_suffix(".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(status.model_dump_json(by_alias=True))
    new.replace(path)


def read(path: Path) -> Status | None:
    """Give the status that ``path`` holds; None where there is none that can be read."""
    try:
        return Status.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
