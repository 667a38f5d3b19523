"""Runs ansible-playbook as its users do, with the collection of this checkout."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[1]
COLLECTION = CHECKOUT / "ansible/ansible_collections/byoi/agent"
BIN = Path(os.environ.get("BYOI_ANSIBLE", Path(sys.executable).parent))
"""Where Ansible's programs are; to try another version."""
AGENT = [sys.executable, "-m", "agent"]

Play = Mapping[str, Any]


@dataclass(frozen=True)
class Played:
    """What a run left: its exit code, all that it showed, and what the callback wrote of each task."""

    code: int
    shown: str
    results: Sequence[Mapping[str, Any]]

    def result(self, host: str, task: str) -> Mapping[str, Any]:
        """Give the result of the last task of this name on a host."""
        found = [entry for entry in self.results if (entry["host"], entry["task"]) == (host, task)]
        assert found, f"{task} did not run on {host}:\n{self.shown}"
        result: Mapping[str, Any] = found[-1]["result"]
        return result

    def ended(self, host: str, task: str) -> str:
        """Tell how it ended there: ok, failed, skipped or unreachable."""
        return [str(e["end"]) for e in self.results if (e["host"], e["task"]) == (host, task)][-1]

    def tasks(self, host: str) -> list[str]:
        """Give the names of the tasks that ran on a host."""
        return [str(entry["task"]) for entry in self.results if entry["host"] == host]


@dataclass(frozen=True, kw_only=True)
class Control:
    """The machine that ansible-playbook runs on; ``directory`` takes its files."""

    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    collections: Path = CHECKOUT / "ansible"

    def play(
        self, plays: Sequence[Play], inventory: Mapping[str, Any], *flags: str, timeout: float = 120
    ) -> Played:
        """Run plays and wait for the end."""
        return self.end(self.start(plays, inventory, *flags), timeout=timeout)

    def end(self, process: "subprocess.Popen[bytes]", shown: str = "", *, timeout: float = 120) -> Played:
        """Wait for the end of a run of which ``shown`` was read already."""
        try:
            rest, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as expired:
            os.killpg(process.pid, signal.SIGKILL)
            raise AssertionError(shown + process.communicate()[0].decode()) from expired
        return Played(process.returncode, shown + rest.decode(), list(self._results()))

    def start(
        self, plays: Sequence[Play], inventory: Mapping[str, Any], *flags: str
    ) -> "subprocess.Popen[bytes]":
        """Start plays in a process group of their own."""
        for name, content in (("play.json", plays), ("inventory.json", inventory)):
            (self.directory / name).write_text(json.dumps(content))
        (self.directory / "results").unlink(missing_ok=True)
        words = ["-i", str(self.directory / "inventory.json"), str(self.directory / "play.json"), *flags]
        return subprocess.Popen(
            [BIN / "ansible-playbook", *words],
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *words: str | Path) -> str:
        """Run another of Ansible's programs."""
        done = subprocess.run(
            [BIN / str(words[0]), *words[1:]],
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode()

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        plugins = CHECKOUT / "tests/ansible_plugins"
        return {
            **inherited,
            "HOME": str(self.directory),
            "PYTHONPATH": str(CHECKOUT),
            "BYOI_AGENT_RUN_DIR": str(self.directory / "run"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_CALLBACK_PLUGINS": str(plugins / "callback"),
            "ANSIBLE_CONNECTION_PLUGINS": str(plugins / "connection"),
            "ANSIBLE_CALLBACKS_ENABLED": "results",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(self.directory / "tmp"),
            "RESULTS": str(self.directory / "results"),
            **self.environment,
        }

    def _results(self) -> list[Mapping[str, Any]]:
        path = self.directory / "results"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def inventory_of(hosts: Mapping[str, Mapping[str, Any]], **variables: Any) -> Mapping[str, Any]:
    """Give an inventory of hosts with variables each, and those of all."""
    return {
        "all": {"hosts": dict(hosts), "vars": {"ansible_python_interpreter": "/usr/bin/python3", **variables}}
    }


def read_until(process: "subprocess.Popen[bytes]", text: str, *, timeout: float = 300) -> str:
    """Read what is shown up to the line with ``text``."""
    assert process.stdout is not None
    shown = ""
    limit = threading.Timer(timeout, os.killpg, (process.pid, signal.SIGKILL))
    limit.start()
    try:
        for line in process.stdout:
            shown += line.decode()
            if text in shown:
                return shown
    finally:
        limit.cancel()
    raise AssertionError(shown)
