"""Deployments to a file within the tests' own process; no tests in here."""

import json
from pathlib import Path
from typing import Any

from tests.small_images import tool
from tests.unit.test_cli_common import CommandLine, Said

SECTOR = 512


def deployed(
    command: CommandLine, url: str, disk: Path, kind: str, *more: str
) -> tuple[Said, dict[str, Any]]:
    words = ("deploy", "--url", url, "--type", kind, "--disk", str(disk), "--yes", "--json")
    said = command(*words, *more)
    return said, json.loads(said.out.splitlines()[-1])


def steps(said: Said) -> list[str]:
    events = [json.loads(line) for line in said.out.splitlines()]
    return [event["step"] for event in events if event["event"] == "step_finished"]


def progress_in(said: Said, step: str) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in said.out.splitlines()]
    return [event for event in events if event["event"] == "progress" and event["step"] == step]


def assert_deployed(disk: Path, raw: Path) -> None:
    end = raw.stat().st_size - 33 * SECTOR
    assert disk.read_bytes()[34 * SECTOR : end] == raw.read_bytes()[34 * SECTOR : end]
    assert "No problems found" in tool("sgdisk", "-v", disk)
