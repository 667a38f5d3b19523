import logging
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent import run_lock
from agent.errors import AlreadyRunning, Refused
from agent.run_log import logging_to
from tests.misbehaving_server import wait_until

HOLDER = """
import sys
from pathlib import Path
from agent import run_lock
with run_lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lock, "_PATIENCE", 0.05)
    monkeypatch.setattr(run_lock, "_POLL", 0.002)


def test_who_holds_it(path: Path) -> None:
    assert run_lock.owner(path) is None
    with run_lock.hold(path):
        assert run_lock.owner(path) == os.getpid()
    assert run_lock.owner(path) is None


def test_it_is_its_owners_alone(path: Path) -> None:
    with run_lock.hold(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_at_a_time(path: Path) -> None:
    with run_lock.hold(path):
        with pytest.raises(AlreadyRunning) as caught, run_lock.hold(path):
            pass
        assert run_lock.owner(path) == os.getpid()
    assert caught.value.message == "Another deployment is running on this server."
    assert caught.value.detail == f"It is carried out by process {os.getpid()}."


def test_it_is_free_after_an_error(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), run_lock.hold(path):
        raise ZeroDivisionError
    assert run_lock.owner(path) is None
    with run_lock.hold(path):
        assert run_lock.owner(path) == os.getpid()


def test_it_ends_with_its_process(path: Path) -> None:
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert run_lock.owner(path) == process.pid
        process.kill()
    assert run_lock.wait_until_free(path, 5)
    assert run_lock.owner(path) is None
    with run_lock.hold(path):
        assert run_lock.owner(path) == os.getpid()


def test_who_only_looks_does_not_stand_in_the_way(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lock, "_PATIENCE", 5)
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            run_lock.owner(path)

    onlooker = threading.Thread(target=look)
    onlooker.start()
    try:
        for _ in range(50):
            with run_lock.hold(path):
                pass
    finally:
        ended.set()
        onlooker.join()


def test_waiting_until_it_is_free(path: Path) -> None:
    held, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with run_lock.hold(path):
            held.set()
            enough.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(5)
    assert not run_lock.wait_until_free(path, 0.02)
    enough.set()
    assert run_lock.wait_until_free(path, 5)
    holder.join()


def test_a_lock_that_is_given_up_while_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lock, "_PATIENCE", 5)
    held = threading.Event()

    def hold_for_a_moment() -> None:
        with run_lock.hold(path):
            held.set()
            wait_until(lambda: waiting)

    waiting = False
    holder = threading.Thread(target=hold_for_a_moment)
    holder.start()
    held.wait(5)
    assert run_lock.owner(path) is not None
    waiting = True
    with run_lock.hold(path):
        holder.join()


@pytest.mark.parametrize("content", [b"", b"rubbish", b"-5", b"12 "])
def test_a_process_id_that_can_not_be_read(path: Path, content: bytes) -> None:
    with run_lock.hold(path):
        path.write_bytes(content)
        assert run_lock.owner(path) is None


def test_the_process_id_of_before_is_gone(path: Path) -> None:
    path.write_bytes(b"9" * 30)
    with run_lock.hold(path):
        assert path.read_bytes() == str(os.getpid()).encode()


def test_nothing_of_the_holder_stays_in_the_file(path: Path) -> None:
    with run_lock.hold(path):
        pass
    assert path.read_bytes() == b""


def test_the_process_id_of_one_that_was_killed_is_not_the_holders(path: Path) -> None:
    with run_lock.hold(path):
        path.write_bytes(b"1")
        assert run_lock.owner(path) is None
        assert run_lock.is_held(path)
        assert not run_lock.wait_until_free(path, 0.01)


@pytest.mark.parametrize("text", [None, "", "1: POSIX ADVISORY WRITE 1 00:1f:5 0 EOF\n"])
def test_where_locks_are_not_listed_the_file_is_believed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    monkeypatch.setattr(run_lock, "_LOCKS", tmp_path / "locks")
    if text is not None:
        (tmp_path / "locks").write_text(text)
    with run_lock.hold(path):
        assert run_lock.owner(path) == os.getpid()


def test_a_lock_that_can_not_be_made(path: Path) -> None:
    path.mkdir()
    with pytest.raises(Refused), run_lock.hold(path):
        pass


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_what_is_logged(log: Path) -> None:
    log.write_text("of the last deployment")
    with logging_to(log):
        logging.getLogger("agent.somewhere").info("one")
        logging.getLogger("partitioning.command").info("running: %s", "two")
        logging.getLogger("urllib3.connectionpool").error("http://h/?token=s3cret")
        logging.getLogger().error("s3cret")
    lines = log.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \w", line) for line in lines)
    assert [line.split(" ", 2)[2] for line in lines] == [
        "agent.somewhere: one",
        "partitioning.command: running: two",
    ]


def test_the_log_is_its_owners_alone(log: Path) -> None:
    with logging_to(log):
        assert stat.S_IMODE(log.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["agent", "configdrive", "partitioning"])
def test_nothing_is_logged_afterwards(log: Path, name: str) -> None:
    logger = logging.getLogger(name)
    before = logger.handlers.copy()
    with pytest.raises(ZeroDivisionError), logging_to(log):
        assert (len(logger.handlers), logger.propagate) == (len(before) + 1, False)
        raise ZeroDivisionError
    logging.getLogger(f"{name}.somewhere").warning("late")
    assert log.read_text() == ""
    assert (logger.handlers, logger.propagate) == (before, True)
