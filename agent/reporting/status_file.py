"""The status file, which ``byoi-agent status`` reads while and after a deployment runs."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from agent.errors import Refused
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
        """Write the status; progress at most once a second. Raises OSError."""
        if isinstance(event, events.Progressed):
            moment = self._clock()
            if moment - self._last_progress < _INTERVAL:
                return
            self._last_progress = moment
        write(self._path, status)

    def refused(self, error: Exception) -> Refused:
        """Explain why no deployment is carried out without a status."""
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else type(error).__name__
        return Refused(
            "The status can not be written.",
            detail=f"{self._path}: {reason}.",
            hint="Make room there, or name another directory in BYOI_AGENT_RUN_DIR, and start again.",
        )


def write(path: Path, status: Status) -> None:
    """Put ``status`` in place of what ``path`` held."""
    # Beside what is public: what it takes to tell the disk's state and the exit code once more.
    private = {"diskMayBoot": status.disk_may_boot, "exitCode": status.exit_code}
    fields = status.full() | {name: value for name, value in private.items() if value}
    new = path.with_suffix(".new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(fields))
        new.replace(path)
    except OSError:
        # What was begun takes room that the next try may need.
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def read(path: Path) -> Status | None:
    """Give the status that ``path`` holds; None where there is none. Raises Refused."""
    try:
        return Status.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise Refused(
            "The status can not be read.",
            detail=f"{path} is damaged, or was written by another version of the agent.",
            hint="The next deployment writes it anew.",
        ) from None
    except OSError as error:
        raise Refused(
            "The status can not be read.",
            detail=f"{path}: {os.strerror(error.errno or 0)}.",
            hint="Ask as the user who started the deployment.",
        ) from None
