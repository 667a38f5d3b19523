"""A deployment in a process and a session of its own, which goes on when the server ends."""

import os
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import agent
from agent import run_lock
from agent.run_directory import ENVIRONMENT_VARIABLE, RunDirectory
from partitioning.command import start_apart

REBOOT_DELAY = 30
"""Seconds from ``done`` to the reboot: a client that polls gets to see it."""

StatusIdentity = tuple[int, int]


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
    """One that was started. It is waited for in a thread, so that none is left over."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", where: RunDirectory, before: StatusIdentity | None
    ) -> None:
        """``before`` is the identity of the status file before the start."""
        self._process = process
        self._where = where
        self._before = before
        threading.Thread(target=process.wait, name="deployment", daemon=True).start()

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


def status_identity(where: RunDirectory) -> StatusIdentity | None:
    """Tell one state of the status file from the next; None where there is none."""
    try:
        found = where.status.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
