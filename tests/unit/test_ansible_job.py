"""A run of the agent that goes on by itself in the rescue system. Shell scripts stand in for the agent."""

import json
import os
import signal
from pathlib import Path

import pytest
from ansible_collections.byoi.agent.plugins.module_utils import job as module
from ansible_collections.byoi.agent.plugins.module_utils.job import Busy, Job, Replaced, run_directory

from agent import run_directory as agents

DONE = '{"event": "done", "exitCode": 0}'
REQUEST = b'{"URL": "http://u:secret@a/b"}'


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    for name in ("_SETTLE", "_PATIENCE", "_POLL"):
        monkeypatch.setattr(module, name, 0.05)
    return Job(tmp_path / "run/ansible/deploy")


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A named pipe: a script that reads it waits until the test has written to it."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def script(text: str) -> list[str]:
    return ["/bin/sh", "-c", text]


def open_gate(gate: Path) -> None:
    gate.write_text("on\n")


def test_what_it_says_is_seen_and_then_its_end(job: Job, gate: Path) -> None:
    job.start(
        script(f"echo '{{\"event\": \"step_started\"}}'; read x <{gate}; echo '{DONE}'"), b"", token="a"
    )
    first = job.look("a", offset=0, seconds=10)
    assert (first.running, [event["event"] for event in first.events]) == (True, ["step_started"])
    assert job.outcome() is None
    open_gate(gate)
    second = job.look("a", offset=first.offset, seconds=10)
    while second.running:
        second = job.look("a", offset=first.offset, seconds=10)
    assert [event["event"] for event in second.events] == ["done"]
    assert job.outcome() == json.loads(DONE)


def test_the_request_comes_on_standard_input_and_is_kept_nowhere(job: Job, tmp_path: Path) -> None:
    got = tmp_path / "got"
    job.start(script(f"cat >{got}"), REQUEST, token="a")
    end(job, "a")
    assert got.read_bytes() == REQUEST
    kept = [path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"secret" in content for content in kept)


def end(job: Job, token: str) -> None:
    while job.look(token, offset=0, seconds=10).running:
        pass


def test_one_at_a_time(job: Job, gate: Path) -> None:
    job.start(script(f"read x <{gate}"), REQUEST, token="a")
    assert job.is_running()
    with pytest.raises(Busy):
        job.start(script("true"), b"", token="b")
    known = job.known()
    assert known is not None
    assert known.token == "a"
    open_gate(gate)
    end(job, "a")
    assert not job.is_running()


def test_a_killed_one_has_ended(job: Job, gate: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    job.start(script(f"echo $$ >{pid}; echo started; echo oh >&2; read x <{gate}"), b"", token="a")
    while not (pid.exists() and pid.read_text().strip()):
        job.look("a", offset=0, seconds=0.1)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    end(job, "a")
    assert job.outcome() is None
    assert job.last_words() == "oh\nstarted"


def test_another_one_is_not_taken_for_the_one_that_is_watched(job: Job) -> None:
    job.start(script(f"echo '{DONE}'"), b"", token="a")
    end(job, "a")
    job.start(script("true"), b"", token="b")
    with pytest.raises(Replaced):
        job.look("a", offset=0, seconds=1)
    end(job, "b")
    assert job.outcome() is None, "the end of the first was taken for that of the second"


def test_one_that_can_not_be_started_leaves_no_outcome_of_another(job: Job) -> None:
    job.start(script(f"echo '{DONE}'"), b"", token="a")
    end(job, "a")
    with pytest.raises(FileNotFoundError):
        job.start(["/nonexistent/byoi-agent"], b"", token="b")
    assert not job.is_running()
    assert job.outcome() is None


def test_old_progress_and_half_lines_are_left_out(job: Job, gate: Path) -> None:
    lines = "\n".join(f'{{"event": "progress", "bytesDone": {n}}}' for n in range(5))
    job.start(script(f"echo 'no event'; printf '%s\\n{{\"eve' '{lines}'; read x <{gate}"), b"", token="a")
    seen = job.look("a", offset=0, seconds=0.5)
    assert [event["bytesDone"] for event in seen.events] == [4]
    open_gate(gate)
    end(job, "a")


def test_it_is_for_its_owner_only(job: Job, tmp_path: Path) -> None:
    job.start(script("true"), b"", token="a")
    end(job, "a")
    directory = tmp_path / "run/ansible/deploy"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in directory.glob("std*")} == {0}


@pytest.mark.parametrize("environment", [{"BYOI_AGENT_RUN_DIR": "/a/b"}, {"XDG_RUNTIME_DIR": "/run/user/1"}])
@pytest.mark.parametrize("uid", [0, 1000])
def test_the_run_directory_is_the_agents(
    environment: dict[str, str], uid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BYOI_AGENT_RUN_DIR", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert run_directory() == agents.chosen_run_directory().path
