"""Runs the agent as its users do: as a process, with a request, watching what it prints."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

UNPRIVILEGED = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
"""Words before a command that take root's rights from it, where the tests run as root."""

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl admin@example"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a run of the agent left."""

    code: int
    events: list[dict[str, Any]]
    people: str
    """What stood on standard error."""

    @property
    def status(self) -> dict[str, Any]:
        """The last line: the final status."""
        return self.events[-1]

    @property
    def message(self) -> str:
        return str(self.status["message"])

    def steps(self) -> list[str]:
        return [event["step"] for event in self.events if event["event"] == "step_started"]


@dataclass(frozen=True, kw_only=True)
class Agent:
    """Runs ``byoi-agent`` with a run directory of its own."""

    run_directory: Path
    before: Sequence[str] = ()
    command: Sequence[str] = (sys.executable, "-m", "agent")
    environment: Mapping[str, str] = field(default_factory=dict)

    def deploy(self, request: Mapping[str, Any], *flags: str) -> Ended:
        """Deploy and wait for the end."""
        process = self.start(request, *flags)
        return self.wait(process)

    def start(self, request: Mapping[str, Any], *flags: str) -> "subprocess.Popen[bytes]":
        """Start a deployment."""
        process = self._popen("deploy", "-", "--yes", "--json", *flags)
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def wait(self, process: "subprocess.Popen[bytes]", read: Sequence[dict[str, Any]] = ()) -> Ended:
        """Wait for the end; ``read`` are the events that were read already."""
        out, err = process.communicate(timeout=120)
        events = [*read, *(json.loads(line) for line in out.splitlines())]
        return Ended(code=process.returncode, events=events, people=err.decode())

    def run(self, *words: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[str]":
        """Run any command of the agent."""
        process = self._popen(*words)
        out, err = process.communicate(stdin, timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, out.decode(), err.decode())

    def _popen(self, *words: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "BYOI_AGENT_RUN_DIR": str(self.run_directory), "COLUMNS": "100"}
        environment |= {"PYTHONPATH": str(Path(__file__).parents[1])}
        return subprocess.Popen(
            [*self.before, *self.command, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment | dict(self.environment),
        )


def events_until(
    process: "subprocess.Popen[bytes]", wanted: Callable[[dict[str, Any]], bool]
) -> Iterator[dict[str, Any]]:
    """Yield a running deployment's events up to the one that is wanted."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        yield event
        if wanted(event):
            return


def started(step: str) -> Callable[[dict[str, Any]], bool]:
    """Tell whether an event is the beginning of ``step``."""
    return lambda event: event["event"] == "step_started" and event["step"] == step


def digest(path: Path) -> str:
    """Give the SHA-256 of a file or a device."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def request_for(url: str, disk: Path, kind: str = "qcow2", **more: Any) -> dict[str, Any]:
    """Give a request for an image at ``url``; ``options`` are added to the disk's."""
    options = {"disk": str(disk), "fetchRetries": 0, **more.pop("options", {})}
    return {"URL": url, "type": kind, "options": options, **more}


def with_sum(path: Path) -> dict[str, str]:
    """Give the two fields for the sum of a file."""
    return {"checkSum": digest(path), "checkSumType": "sha256"}


CONFIGDRIVE: dict[str, Any] = {
    "enable": True,
    "hostname": "web1",
    "sshKey": SSH_KEY,
    "userData": "#!/bin/sh\nprintf 'a\\n' >> /var/log/first\n",
    "userMetadatas": [{"key": "role", "value": "web"}, {"key": "note", "value": 'Käse\n"quoted"'}],
}
