"""A deployment that was started and does not come to begin, and one that is in the way."""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent import run_lock
from agent.reporting import status_file
from agent.run_directory import RunDirectory
from agent.serve import deployments
from agent.serve.deployment_process import DeployCommand, DeploymentProcess, deploy_words
from agent.serve.deployments import Deployments
from agent.serve.refusal import CallRefused
from agent.serve.threads import Threads
from agent.status import Status
from partitioning.command import CommandError
from tests.misbehaving_server import wait_until
from tests.unit.test_cli_status import deployment

OLD = Status(servername="ns1", started_at="2026-01-01T00:00:00Z")
SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def where(tmp_path: Path) -> RunDirectory:
    found = RunDirectory(tmp_path)
    status_file.write(found.status, OLD)
    return found


def start(where: RunDirectory, words: Sequence[str]) -> str:
    """Start it and give the errorCode."""

    async def started() -> None:
        threads = Threads()
        try:
            await Deployments(DeployCommand(words=words, where=where), threads).start(b"{}")
        finally:
            threads.close()

    with pytest.raises(CallRefused) as caught:
        asyncio.run(started())
    return caught.value.code


def test_one_that_ends_without_a_status(where: RunDirectory) -> None:
    assert start(where, ("false",)) == "NOT_STARTED"


def test_one_that_never_begins_is_ended(where: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "_BEGIN_PATIENCE", 0.1)
    made: list[DeploymentProcess] = []
    begin = DeployCommand.start

    def begun(command: DeployCommand, request: bytes) -> DeploymentProcess:
        made.append(begin(command, request))
        return made[0]

    monkeypatch.setattr(DeployCommand, "start", begun)
    assert start(where, SLEEP) == "NOT_STARTED"
    wait_until(lambda: made[0].exit_code == -15)


def test_a_command_that_is_not_there(where: RunDirectory) -> None:
    with pytest.raises(CommandError, match="could not be started"):
        DeployCommand(words=("/gone",), where=where).start(b"")


def test_one_that_is_in_the_way(where: RunDirectory) -> None:
    with deployment(where.lock):
        started = time.monotonic()
        assert start(where, SLEEP) == "DEPLOYMENT_RUNNING"
        assert time.monotonic() - started < 5


def test_the_old_status_is_none_of_its_own(where: RunDirectory) -> None:
    process = DeployCommand(words=SLEEP, where=where).start(b"")
    try:
        assert not process.has_begun
        status_file.write(where.status, OLD)
        assert process.has_begun
        with deployment(where.lock):
            assert not process.has_begun
    finally:
        process.end()
    wait_until(lambda: process.exit_code is not None)


TELL = """
import os, sys
told = len(sys.stdin.read()), os.getcwd(), os.environ["BYOI_AGENT_RUN_DIR"], os.getsid(0) == os.getpid()
open(sys.argv[1], "w").write(repr(told))
"""


def test_it_is_given_all_that_it_needs(where: RunDirectory, tmp_path: Path) -> None:
    """The request, of any size, on standard input; the run directory; no place of ours to stand in."""
    said = tmp_path / "said"
    words = (sys.executable, "-c", TELL, str(said))
    process = DeployCommand(words=words, where=where).start(b"x" * 500_000)
    wait_until(lambda: process.exit_code == 0)
    assert said.read_text() == repr((500_000, "/", str(where.path), True))


def test_the_words() -> None:
    expected = ["byoi-agent", "deploy", "-", "--yes", "--reboot-delay", "30"]
    assert deploy_words(("byoi-agent",), None) == expected
    assert deploy_words(("byoi-agent",), Path("/etc/groups")) == [*expected, "--config", "/etc/groups"]


def test_of_one_that_can_not_be_told_no_process_is_named(
    where: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is going down holds the lock, and nobody is to be told to end."""
    monkeypatch.setattr(deployments, "PATIENCE", 0.1)

    async def delete() -> None:
        threads = Threads()
        try:
            await Deployments(DeployCommand(words=SLEEP, where=where), threads).delete("ns1")
        finally:
            threads.close()

    with run_lock.hold(where.lock, signed=False), pytest.raises(CallRefused) as caught:
        asyncio.run(delete())
    assert (caught.value.code, caught.value.status) == ("NOT_STOPPED", 409)
    assert "kill" not in f"{caught.value.detail} {caught.value.hint}"
