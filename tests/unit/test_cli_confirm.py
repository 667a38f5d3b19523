"""The question before a disk is erased, asked on a real terminal (pty(7)), and listeners that go away."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import messages
from tests.misbehaving_server import MisbehavingServer, Serve
from tests.terminal import TIMEOUT, Terminal
from tests.unit.test_images_common import MIB, tiny_image

IMAGE = tiny_image()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.close()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "[red]disk"
    path.write_bytes(os.urandom(4 * MIB))
    return path


@pytest.fixture
def url() -> Iterator[str]:
    with MisbehavingServer() as server:
        yield server.on("/image", Serve(IMAGE))


def agent(folder: Path, url: str, disk: Path, *words: str) -> tuple[list[str], dict[str, str]]:
    """The words of the command, and its environment."""
    argv = [
        sys.executable,
        "-m",
        "agent",
        "deploy",
        "--url",
        url,
        "--type",
        "raw",
        "--disk",
        str(disk),
        *words,
    ]
    own = {"BYOI_AGENT_RUN_DIR": str(folder / "run"), "PYTHONPATH": str(Path(__file__).parents[2])}
    return argv, os.environ | own | {"TERM": "xterm", "COLUMNS": "200"}


@contextmanager
def asked(
    terminal: Terminal, folder: Path, url: str, disk: Path, *words: str
) -> "Iterator[subprocess.Popen[bytes]]":
    """A deployment on the terminal that waits for an answer. Its standard output goes elsewhere."""
    argv, environment = agent(folder, url, disk, *words)
    # setsid makes the terminal the controlling one, so that Ctrl-C becomes a signal.
    with subprocess.Popen(
        ["setsid", "--ctty", *argv],
        stdin=terminal.far,
        stdout=subprocess.PIPE,
        stderr=terminal.far,
        env=environment,
    ) as process:
        os.close(terminal.far)
        try:
            terminal.read_until(b"to go on: ")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("keys", "code", "message"),
    [
        (b"\n", 3, "Error: The deployment was not confirmed."),
        (b"\x04", 3, "Error: The deployment was not confirmed."),
        (b"\x03", 130, "Error: The deployment was interrupted."),
    ],
    ids=["nothing", "Ctrl-D", "Ctrl-C"],
)
def test_not_confirmed(
    terminal: Terminal, tmp_path: Path, url: str, disk: Path, keys: bytes, code: int, message: str
) -> None:
    before = disk.read_bytes()
    with asked(terminal, tmp_path, url, disk) as process:
        terminal.type(keys)
        assert process.wait(TIMEOUT) == code
    screen = terminal.rest()
    assert message in screen
    assert "was not changed." in screen
    assert "What to do: " in screen
    assert disk.read_bytes() == before


def test_a_status_says_that_an_answer_is_waited_for(
    terminal: Terminal, tmp_path: Path, url: str, disk: Path
) -> None:
    with asked(terminal, tmp_path, url, disk):
        status = json.loads((tmp_path / "run/status.json").read_text())
    assert (status["status"], status["message"]) == ("doing", messages.ASKED)


def test_what_comes_after_the_question_begins_a_line(
    terminal: Terminal, tmp_path: Path, url: str, disk: Path
) -> None:
    with asked(terminal, tmp_path, url, disk) as process:
        terminal.type(b"\x03")
        process.wait(TIMEOUT)
    assert "\nError: The deployment was interrupted." in re.sub("\x1b\\[[0-9;]*m|\r", "", terminal.rest())


@pytest.mark.parametrize("second", [b"no\n", b"\n"])
def test_wrong_names(terminal: Terminal, tmp_path: Path, url: str, disk: Path, second: bytes) -> None:
    before = disk.read_bytes()
    with asked(terminal, tmp_path, url, disk) as process:
        terminal.type(b"yes\n")
        terminal.read_until(b"or nothing to end: ")
        terminal.type(second)
        assert process.wait(TIMEOUT) == 3
    assert f"The name {disk} was not typed." in terminal.rest()
    assert disk.read_bytes() == before


def test_what_was_typed_before_the_question_is_no_answer(
    terminal: Terminal, tmp_path: Path, url: str, disk: Path
) -> None:
    terminal.type(f"{disk}\n".encode())
    with asked(terminal, tmp_path, url, disk) as process:
        terminal.type(b"\n")
        assert process.wait(TIMEOUT) == 3


def test_a_terminal_that_goes_away(tmp_path: Path, url: str, disk: Path) -> None:
    terminal, before = Terminal(), disk.read_bytes()
    with asked(terminal, tmp_path, url, disk) as process:
        terminal.close()
        assert process.wait(TIMEOUT) == 3
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert (status["message"], status["diskTouched"]) == ("The deployment was not confirmed.", False)
    assert disk.read_bytes() == before


def test_an_answer_that_is_no_text(terminal: Terminal, tmp_path: Path, url: str, disk: Path) -> None:
    with asked(terminal, tmp_path, url, disk) as process:
        terminal.type(b"\xff\n")
        terminal.read_until(b"or nothing to end: ")
        terminal.type(b"\n")
        assert process.wait(TIMEOUT) == 3


def test_the_second_answer_counts_and_so_does_a_link(
    terminal: Terminal, tmp_path: Path, url: str, disk: Path
) -> None:
    link = tmp_path / "by-id"
    link.symlink_to(disk)
    with asked(terminal, tmp_path, url, link) as process:
        terminal.type(b"/dev/wrong\n")
        terminal.read_until(b"or nothing to end: ")
        terminal.type(f"{link}\n".encode())
        assert process.wait(TIMEOUT) == 0
    assert f"Done: the image is on {disk}." in terminal.rest()


def test_confirmed(terminal: Terminal, tmp_path: Path, url: str, disk: Path) -> None:
    with asked(terminal, tmp_path, url, disk, "--json") as process:
        question = terminal.read_until(b"to go on: ")
        assert str(disk) in question
        assert "all that is on it is lost" in question
        assert question.count("Warning: ") == 1, "shown twice, or not at all"
        terminal.type(f" {disk} \n".encode())
        out, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    assert [json.loads(line) for line in out.splitlines()][-1]["event"] == "done"
    assert f"Done: the image is on {disk}." in terminal.rest()
    assert disk.read_bytes()[: len(IMAGE)] == IMAGE


def test_a_deployment_goes_on_when_nobody_reads(tmp_path: Path, url: str, disk: Path) -> None:
    argv, environment = agent(tmp_path, url, disk, "--yes", "--json")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            argv, stdout=writing, stderr=writing, env=environment, timeout=TIMEOUT, check=False
        )
    finally:
        os.close(writing)
    assert disk.read_bytes()[: len(IMAGE)] == IMAGE
    assert json.loads((tmp_path / "run/status.json").read_text())["status"] == "done"
    assert done.returncode == 0
