"""One deployment from outside: a used disk, a request, the agent's run over SSH, the first boot."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import TestbedError
from .image_file import ImageFile
from .ssh import SshConnection

Event = Mapping[str, Any]
_MIB = 1 << 20
# Written by the user data below; one line for each time that it ran.
USER_DATA_MARK = "/var/tmp/user-data-ran"
USER_DATA = f"#!/bin/sh\ndate --iso-8601=seconds >>{USER_DATA_MARK}\n"


@dataclass(frozen=True, kw_only=True)
class AgentRun:
    """What a run of `byoi-agent … --json` left: exit code, each line of standard output, and the rest."""

    exit_code: int
    events: Sequence[Event]
    stderr: str

    @property
    def last(self) -> Event:
        """The last line: the final status."""
        if not self.events:
            raise TestbedError(f"the agent wrote no line (exit code {self.exit_code}): {self.stderr[-2000:]}")
        return self.events[-1]

    def named(self, event: str) -> list[Event]:
        """The events of one kind."""
        return [line for line in self.events if line.get("event") == event]


def used_disk(path: Path, size: int = 8 << 30) -> Path:
    """Make a sparse disk of `size` bytes with random bytes in its first and last MiB."""
    with path.open("wb") as disk:
        disk.truncate(size)
        for position in (0, size - _MIB):
            disk.seek(position)
            disk.write(os.urandom(_MIB))
    return path


def request_for(
    image: ImageFile,
    url: str,
    *,
    hostname: str,
    ssh_key: str | None = None,
    user_data: str = USER_DATA,
    metadata: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A whole request for the image, with a ConfigDrive."""
    configdrive: dict[str, Any] = {"enable": True, "hostname": hostname, "userData": user_data}
    if ssh_key is not None:
        configdrive["sshKey"] = ssh_key
    if metadata is not None:
        configdrive["userMetadatas"] = [{"key": key, "value": value} for key, value in metadata.items()]
    return {
        "URL": url,
        "type": image.type,
        "checkSum": image.sha256,
        "checkSumType": "sha256",
        "description": image.path.name,
        "configdrive": configdrive,
    }


def deploy(
    rescue: SshConnection,
    request: Mapping[str, Any],
    *flags: str,
    on_event: Callable[[Event], None] = lambda _: None,
    timeout: float = 600.0,
) -> AgentRun:
    """Run `byoi-agent deploy - --yes --json` with the request on its standard input.

    Any exit code is an outcome. A line that is not JSON raises TestbedError, because the contract allows
    none.
    """
    events: list[Event] = []

    def take(line: str) -> None:
        events.append(parse_event(line))
        on_event(events[-1])

    result = rescue.run(
        *("byoi-agent", "deploy", "-", "--yes", "--json", *flags),
        stdin=json.dumps(request).encode(),
        timeout=timeout,
        on_line=take,
        expect=None,
    )
    return AgentRun(exit_code=result.exit_code, events=events, stderr=result.stderr)


def paths_by_serial(rescue: SshConnection) -> dict[str, str]:
    """Where the disks are, by their serial numbers."""
    listed = json.loads(rescue.output("byoi-agent", "disks", "--json"))
    disks = [disk for group in listed["groups"] for disk in group["disks"]]
    return {disk["serial"]: disk["path"] for disk in [*disks, *listed["ungrouped"]]}


def parse_event(line: str) -> Event:
    """One line of the agent's JSON output."""
    try:
        event = json.loads(line)
    except ValueError as error:
        raise TestbedError(f"the agent wrote a line that is not JSON: {line!r}") from error
    if not isinstance(event, dict) or event.get("v") != 1 or "event" not in event:
        raise TestbedError(f"the agent wrote a line that is not an event: {line!r}")
    return event


def wait_for_cloud_init(guest: SshConnection, *, timeout: float) -> list[str]:
    """Wait until cloud-init is through and return the errors that it noted in any of its stages."""
    guest.run("cloud-init", "status", "--wait", timeout=timeout, expect=None)
    result = json.loads(guest.output("cat", "/run/cloud-init/result.json"))
    return [str(error) for error in result["v1"]["errors"]]
