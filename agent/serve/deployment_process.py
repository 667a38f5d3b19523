"""A deployment in a process and a session of its own, which goes on when the server ends."""

import logging
import os
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import agent
from agent import run_lock
from agent.errors import Refused
from agent.run_directory import ENVIRONMENT_VARIABLE, RunDirectory
from agent.status import State, Status
from agent.status_now import status_now
from partitioning.command import start_apart

REBOOT_DELAY = 30
"""Seconds from ``done`` to the reboot: a client that polls gets to see it."""

_LOOK = 0.2
"""Seconds between two looks at the status: it tells the end, and the process then waits for the reboot."""

_MOST_CHARACTERS = 500
"""Of what the log says of an error; the status has all."""

StatusIdentity = tuple[int, int]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployCommand:
    """The command that takes a request on its standard input and carries it out."""

    words: Sequence[str]
    where: RunDirectory

    def start(self, request: bytes) -> "DeploymentProcess":
        """Start it. Raises CommandError."""
        before = status_identity(self.where)
        process = start_apart(self.words, stdin=request, environment=self._environment())
        return DeploymentProcess(process, self.where, before)

    def _environment(self) -> dict[str, str]:
        # It starts in / and finds all that this process has found, also what was named relatively.
        found = str(Path(agent.__file__).parents[1].absolute())
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        python_path = [found, *(os.path.abspath(path) for path in given if path)]  # noqa: PTH100 - keeps links
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(python_path)),
            ENVIRONMENT_VARIABLE: str(self.where.path.absolute()),
        }


def deploy_words(own: Sequence[str], config: Path | None) -> list[str]:
    """Give the words of a deployment; ``own`` are those that start this program."""
    pinned = ["--config", str(config.absolute())] if config else []
    return [*own, "deploy", "-", "--yes", "--reboot-delay", str(REBOOT_DELAY), *pinned]


class DeploymentProcess:
    """One that was started. A thread waits for it: none is left over, and the log tells how it ended."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", where: RunDirectory, before: StatusIdentity | None
    ) -> None:
        """``before`` is the identity of the status file before the start."""
        self._process = process
        self._where = where
        self._before = before
        self._started_at: str | None = None
        threading.Thread(target=self._follow, name="deployment", daemon=True).start()

    @property
    def exit_code(self) -> int | None:
        """Give the exit code; None while it runs."""
        return self._process.poll()

    @property
    def has_begun(self) -> bool:
        """Tell whether its status is there: it is a new one, and nobody else has the lock."""
        lock = self._where.lock
        return self.status_is_new and (
            run_lock.owner(lock) == self._process.pid or not run_lock.is_held(lock)
        )

    @property
    def status_is_new(self) -> bool:
        """Tell whether the status is no longer the one from before the start."""
        return status_identity(self._where) not in (self._before, None)

    def end(self) -> None:
        """Tell it to end."""
        self._process.terminate()

    def _follow(self) -> None:
        has_ended = was_told = False
        while not has_ended:
            try:
                self._process.wait(_LOOK)
                has_ended = True
            except subprocess.TimeoutExpired:
                pass
            was_told = was_told or self._tell_end()
        if not was_told:
            log.info(
                "A deployment ended with exit code %d; its status was erased, or it had none.", self.exit_code
            )

    def _tell_end(self) -> bool:
        """Let the log say how the deployment ended, once its status does."""
        found = self._own_status()
        if found is None or found.status is State.DOING:
            return False
        log.info("The deployment of %s %s", found.servername, _how_it_ended(found))
        return True

    def _own_status(self) -> Status | None:
        """Give the status, unless another deployment's stands in its place."""
        is_running = run_lock.owner(self._where.lock) == self._process.pid
        try:
            found = status_now(self._where) if self.status_is_new else None
        except Refused:
            return None
        if found is not None and found.status is State.DOING and is_running:
            self._started_at = found.started_at
        is_own = found is not None and self._started_at in (None, found.started_at)
        return found if is_own else None


def _how_it_ended(status: Status) -> str:
    if status.status is State.DONE:
        return "is done."
    return f"ended with an error: {status.message} {status.detail or ''}".rstrip()[:_MOST_CHARACTERS]


def status_identity(where: RunDirectory) -> StatusIdentity | None:
    """Tell one state of the status file from the next; None where there is none."""
    try:
        found = where.status.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
