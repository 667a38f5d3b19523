"""The one gate for external commands on the host: argument lists, a clean locale, a limit on the time."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .errors import CommandFailed, TestbedError

# Debian keeps the disk tools in sbin, which a user's PATH often leaves out.
_TOOL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT_LINES = 15


def tool_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a tool: the caller's own, but with tools from the system and English messages."""
    return {**os.environ, "PATH": _TOOL_PATH, "LC_ALL": "C.UTF-8", **(extra or {})}


def run(
    *arguments: str | Path,
    cwd: Path | None = None,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    timeout: float = 900.0,
) -> bytes:
    """Run a command to its end and return its standard output.

    Raises CommandFailed with the last lines of what it said when it fails or exceeds `timeout` seconds.
    """
    command = [str(argument) for argument in arguments]
    try:
        finished = subprocess.run(
            command,
            cwd=cwd,
            input=stdin,
            env=tool_environment(environment),
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        raise CommandFailed(f"{shlex.join(command)}: no end after {timeout:.0f} s") from expired
    except FileNotFoundError as absent:
        raise CommandFailed(
            f"{command[0]}: not found",
            hint="Install what the test bed needs: python3 -m testbed host-packages",
        ) from absent
    if finished.returncode != 0:
        said = (finished.stdout[-4000:] + finished.stderr[-4000:]).decode(errors="replace").splitlines()
        tail = "\n".join(said[-_KEPT_LINES:])
        raise CommandFailed(f"{shlex.join(command)}: exit code {finished.returncode}\n{tail}")
    return finished.stdout


def require_root(purpose: str) -> None:
    """Raise TestbedError unless this process is root; `purpose` completes "root is needed to …"."""
    if os.geteuid() != 0:
        raise TestbedError(
            f"root is needed to {purpose}",
            hint="Run the same command as root, or through sudo --preserve-env.",
        )
