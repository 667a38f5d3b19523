"""Readers that stop reading: a full pipe, a terminal held by Ctrl-S. The deployment does not mind."""

import fcntl
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from agent.reporting import patient_stream
from agent.reporting.patient_stream import PatientStream
from tests.misbehaving_server import MisbehavingServer, Serve, wait_until
from tests.unit.test_images_common import MIB, file_of, tiny_image

IMAGE = tiny_image()
TIMEOUT = 60.0
RUN = """
import sys
from agent.cli import app
from agent.reporting import patient_stream
patient_stream.PATIENCE = 0.5
sys.exit(app.run())
"""


@contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that takes nothing more; its end for writing blocks, as usual."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


def opened(fd: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), encoding="utf-8")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patient_stream, "PATIENCE", 0.3)


@pytest.mark.usefixtures("impatient")
def test_a_full_pipe_is_given_up() -> None:
    with full_pipe() as (_, writing):
        stream = PatientStream(opened(writing))
        assert not stream.ready()
        before = time.monotonic()
        with pytest.raises(TimeoutError):
            stream.write("more")
        assert 0.2 < time.monotonic() - before < 5
        assert os.get_blocking(writing)


def test_a_reader_that_comes_back_gets_it_all() -> None:
    text = "ü" * 30_000
    with full_pipe() as (reading, writing):
        stream = PatientStream(opened(writing))
        pid = os.fork()
        if pid == 0:
            stream.write(text)
            os._exit(0)
        os.set_blocking(reading, False)
        seen = b""
        while len(seen) < 4096 + 60_000 and select.select([reading], [], [], TIMEOUT)[0]:
            seen += os.read(reading, 65536)
        assert os.waitpid(pid, 0)[1] == 0
    assert seen.lstrip(b"x").decode() == text


def test_a_file_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with path.open("w") as stream:
        stream.write("a")
        patient = PatientStream(stream)
        assert patient.ready()
        patient.write("b")
        patient.write("c")
    assert path.read_text() == "abc"


def test_letters_that_the_encoding_does_not_have(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="latin-1") as stream:
        PatientStream(stream).write("ü→")
    assert (tmp_path / "out").read_bytes() == b"\xfc\\u2192"


def test_a_stream_without_a_descriptor() -> None:
    stream = io.StringIO()
    patient = PatientStream(stream)
    patient.write("a")
    assert (stream.getvalue(), patient.ready(), patient.isatty()) == ("a", True, False)


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


def deploy(url: str, folder: Path, out: int, err: int) -> "subprocess.Popen[bytes]":
    """A deployment to a file; whoever reads what it says has half a second of patience."""
    disk = file_of(folder / "disk", 4 * MIB)
    words = ["deploy", "--url", url, "--type", "raw", "--disk", str(disk), "--yes", "--json"]
    own = {"BYOI_AGENT_RUN_DIR": str(folder / "run"), "PYTHONPATH": str(Path(__file__).parents[2])}
    environment = os.environ | own | {"TERM": "xterm"}
    argv = [sys.executable, "-c", RUN, *words]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)


def status(folder: Path) -> str:
    return str(json.loads((folder / "run/status.json").read_text())["status"])


def test_nobody_reads_the_pipe(tmp_path: Path, server: MisbehavingServer) -> None:
    url = server.on("/image", Serve(IMAGE))
    with full_pipe() as (_, writing), deploy(url, tmp_path, writing, writing) as process:
        assert process.wait(TIMEOUT) == 0
    assert status(tmp_path) == "done"
    assert (tmp_path / "disk").read_bytes()[: len(IMAGE)] == IMAGE


def test_a_signal_is_heard_though_nobody_reads(tmp_path: Path, server: MisbehavingServer) -> None:
    url = server.on("/image", Serve(IMAGE, cut_after=len(IMAGE) // 2, end="stall"))
    with full_pipe() as (_, writing), deploy(url, tmp_path, writing, writing) as process:
        wait_until(lambda: bool(server.seen("/image")))
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 143
    assert status(tmp_path) == "error"


def test_a_terminal_held_by_ctrl_s(tmp_path: Path, server: MisbehavingServer) -> None:
    url = server.on("/image", Serve(IMAGE))
    near, far = pty.openpty()
    try:
        os.write(near, b"\x13")
        with deploy(url, tmp_path, far, far) as process:
            assert process.wait(TIMEOUT) == 0
        assert status(tmp_path) == "done"
        assert not select.select([near], [], [], 0)[0]
    finally:
        os.close(near)
        os.close(far)
