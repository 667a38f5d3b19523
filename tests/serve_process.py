"""Runs ``byoi-agent serve`` as a process, and calls it as its clients do."""

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ovh
import ovh.client
import requests

from agent import run_lock
from agent.serve.credentials import Keys
from agent.serve.signature import signature

NAME = "ns1.example"
TOP = Path(__file__).parents[1]
KEYS = Keys.model_validate(
    {
        "applicationKey": secrets.token_hex(8),
        "applicationSecret": secrets.token_hex(16),
        "consumerKey": secrets.token_hex(16),
    }
)
PASSWORD = secrets.token_hex(8)


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that runs."""

    url: str
    """Without /1.0."""
    process: "subprocess.Popen[str]"
    run_directory: Path
    verify: str | bool = True
    """The certificate that its own is checked against."""
    said: list[str] = field(default_factory=list)

    def path(self, name: str = NAME) -> str:
        return f"/dedicated/server/{name}/bringYourOwnImage"

    def image_url(self, name: str = NAME) -> str:
        return f"{self.url}/1.0{self.path(name)}"

    def call(self, method: str, url: str | None = None, **more: Any) -> requests.Response:
        """Make a call that is not signed."""
        more.setdefault("timeout", 100)
        return requests.request(method, url or self.image_url(), verify=self.verify, **more)

    def post(self, request: Mapping[str, Any], name: str = NAME) -> requests.Response:
        return self.call("POST", self.image_url(name), json=request)

    def client(self, keys: Keys = KEYS) -> ovh.Client:
        """Give the official client, unchanged but for the table of endpoints."""
        ovh.client.ENDPOINTS["selfhosted"] = f"{self.url}/1.0"
        return ovh.Client(
            endpoint="selfhosted",
            application_key=keys.application_key,
            application_secret=keys.application_secret,
            consumer_key=keys.consumer_key,
        )

    def signed(
        self,
        method: str,
        *,
        body: bytes = b"",
        at: int | None = None,
        url: str | None = None,
        keys: Keys = KEYS,
    ) -> dict[str, str]:
        """Give the headers of a call that is signed."""
        timestamp = str(int(time.time()) if at is None else at)
        return {
            "X-Ovh-Application": keys.application_key,
            "X-Ovh-Consumer": keys.consumer_key,
            "X-Ovh-Timestamp": timestamp,
            "X-Ovh-Signature": signature(
                keys, method=method, url=url or self.image_url(), body=body, timestamp=timestamp
            ),
            **({"Content-Type": "application/json"} if body else {}),
        }

    def status(self, name: str = NAME) -> dict[str, Any]:
        answer = self.call("GET", self.image_url(name))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wait_for(self, *states: str, seconds: float = 90) -> dict[str, Any]:
        """Wait until the status is one of these."""
        return wait_until_value(lambda: self.status(), lambda found: found["status"] in states, seconds)

    def stop(self) -> int:
        """End it with SIGTERM and give its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        assert self.process.stderr is not None
        self.said.extend(self.process.stderr.read().splitlines())
        return code


def credentials_file(folder: Path, **more: Any) -> Path:
    path = folder / "credentials.json"
    names = ("application_key", "application_secret", "consumer_key")
    fields = KEYS.model_dump(by_alias=True, include=set(names))
    path.write_text(json.dumps({"keys": [fields], **more}))
    path.chmod(0o600)
    return path


@contextmanager
def serving(
    run_directory: Path,
    *words: str,
    argv: Sequence[str] = ("-m", "agent", "serve"),
    before: Sequence[str] = (),
    listen: str = "127.0.0.1:0",
    verify: str | bool = True,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a server for the time of the block; a deployment that is left over is ended, too."""
    paths = os.pathsep.join([str(TOP), str(TOP / "qemu-testbed")])
    around = {**os.environ, "BYOI_AGENT_RUN_DIR": str(run_directory), "PYTHONPATH": paths}
    process = subprocess.Popen(
        [*before, sys.executable, *argv, "--listen", listen, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**around, **(environment or {})},
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        said = [process.stdout.readline(), process.stdout.readline()]
        found = re.search(r"https?://\S+(?=/$)", said[1].strip())
        assert found, (said, process.stderr.read())
        yield Server(url=found.group(), process=process, run_directory=run_directory, verify=verify)
    finally:
        process.kill()
        process.communicate()
        end_deployment(run_directory)


def end_deployment(run_directory: Path) -> None:
    """End what still deploys, so that no test leaves a process behind."""
    pid = run_lock.owner(run_directory / "lock")
    if pid not in (None, os.getpid()):
        os.kill(pid, signal.SIGKILL)


def wait_until_value(
    look: Callable[[], dict[str, Any]], wanted: Callable[[dict[str, Any]], bool], seconds: float
) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while not wanted(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found
