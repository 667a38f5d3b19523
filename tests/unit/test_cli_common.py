"""Runs the command line within the tests' own process; no tests in here."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.cli import app
from agent.run_directory import ENVIRONMENT_VARIABLE, RunDirectory


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


class CommandLine:
    """``byoi-agent`` with a run directory of its own."""

    def __init__(self, where: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.where = RunDirectory(where)
        self._patch = patch
        self._capture = capture
        patch.setenv(ENVIRONMENT_VARIABLE, str(where))

    def __call__(self, *words: str) -> Said:
        self._patch.setattr(sys, "argv", ["byoi-agent", *words])
        self._capture.readouterr()
        code = app.run()
        return Said(code, *self._capture.readouterr())


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandLine]:
    monkeypatch.setenv("COLUMNS", "100")
    where = tmp_path / "run"
    where.mkdir()
    yield CommandLine(where, monkeypatch, capsys)
