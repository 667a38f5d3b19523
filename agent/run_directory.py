"""Where a running deployment leaves what others may look at: its status, its lock and its log."""

import os
from dataclasses import dataclass
from pathlib import Path

from agent.errors import Refused

ENVIRONMENT_VARIABLE = "BYOI_AGENT_RUN_DIR"


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The directory; one deployment at a time works in it."""

    path: Path

    @property
    def status(self) -> Path:
        """The status of the last deployment."""
        return self.path / "status.json"

    @property
    def lock(self) -> Path:
        """Held by the deployment that is running; holds its process id."""
        return self.path / "lock"

    @property
    def pending_reboot(self) -> Path:
        """Held by the deployment that is done and will reboot the server; holds its process id."""
        return self.path / "pending-reboot"

    @property
    def log(self) -> Path:
        """What the last deployment did, command by command."""
        return self.path / "log"


def run_directory() -> RunDirectory:
    """Find this user's run directory and make it, readable for its owner only; else Refused.

    It is /run/byoi-agent for root; for others $XDG_RUNTIME_DIR/byoi-agent, else ~/.local/state/byoi-agent.
    BYOI_AGENT_RUN_DIR names another, so that several deployments to files can run side by side.
    """
    where = chosen_run_directory()
    try:
        where.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(where.path, error) from None
    return where


def chosen_run_directory() -> RunDirectory:
    """Give where this user's run directory is, or would be made."""
    return RunDirectory(_choose())


def unusable(path: Path, error: OSError) -> Refused:
    """Explain that the directory, or the file ``path`` in it, can not be used."""
    return Refused(
        "The run directory can not be used.",
        detail=f"{path}: {os.strerror(error.errno or 0)}.",
        hint=f"Become its owner (sudo), or name another directory in {ENVIRONMENT_VARIABLE}.",
    )


def _choose() -> Path:
    if named := os.environ.get(ENVIRONMENT_VARIABLE):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/run/byoi-agent")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "byoi-agent"
    return Path.home() / ".local/state/byoi-agent"
