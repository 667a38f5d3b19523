"""What a person sees of a plan: both streams are on the same screen, or one of them is kept in a file."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent_process import request_for
from tests.disk.conftest import serve
from tests.misbehaving_server import MisbehavingServer
from tests.terminal import TIMEOUT, Terminal

NO_USER_DATA = {"enable": True, "userData": "hello"}


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.close()


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_warning_is_shown_once(
    terminal: Terminal, server: MisbehavingServer, raw_gpt: Path, disk: Path, tmp_path: Path, is_kept: bool
) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps(request_for(serve(server, raw_gpt), disk, "raw", configdrive=NO_USER_DATA)))
    argv = [sys.executable, "-m", "agent", "plan", str(request)]
    own = {"BYOI_AGENT_RUN_DIR": str(tmp_path / "run"), "PYTHONPATH": str(Path(__file__).parents[2])}
    kept = tmp_path / "plan"
    with kept.open("wb") as file:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=file if is_kept else terminal.far,
            stderr=terminal.far,
            env=os.environ | own | {"TERM": "xterm", "COLUMNS": "200"},
            timeout=TIMEOUT,
            check=False,
        )
    assert done.returncode == 0
    os.close(terminal.far)
    seen = terminal.rest()
    assert seen.count("The user data begins like no script") == 1, seen
    assert is_kept == ("The user data begins like no script" in kept.read_text())
    assert str(disk) in (kept.read_text() if is_kept else seen)
