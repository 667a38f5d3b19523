"""A run of byoi-agent that goes on by itself: found again, and watched, by whoever asks for it later.

It runs in the rescue system, with Python and nothing else.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Event = dict[str, Any]

_POLL = 0.25
_SETTLE = 2.0
"""Seconds: steps that follow each other quickly are told together."""
_PATIENCE = 1.0
"""Seconds: who only looks whether it runs holds the lock for a moment, too."""
_TAIL = 2000


class Busy(Exception):
    """The job is running."""


class Replaced(Exception):
    """Another job has been started since."""


@dataclass(frozen=True)
class Known:
    """What is kept of a job: who asked for it, for what, and when."""

    token: str
    fingerprint: str
    started: str


@dataclass(frozen=True)
class Look:
    """What was seen of a job: whether it runs, what it has said since, and how far that was read."""

    running: bool
    events: list[Event]
    offset: int


def run_directory() -> Path:
    """Give the agent's run directory; agent/run_directory.py has the rule."""
    if named := os.environ.get("BYOI_AGENT_RUN_DIR"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/run/byoi-agent")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "byoi-agent"
    return Path.home() / ".local/state/byoi-agent"


def fingerprint(request: bytes) -> str:
    """Tell requests apart without keeping them."""
    return hashlib.sha256(request).hexdigest()


def is_final(event: Event) -> bool:
    """Tell whether a line of standard output is the last: an outcome, or the plan, which is no event."""
    return event.get("event", "plan") in ("plan", "done", "error")


class Job:
    """The job of one purpose. The lock is inherited by the agent's process and ends with it."""

    def __init__(self, directory: Path) -> None:
        """Keep all that belongs to it in ``directory``, which is made, for its owner only."""
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self, argv: Sequence[str], request: bytes, *, token: str) -> Known:
        """Start ``argv`` with the request on its standard input; Busy when the job runs, OSError.

        The request is kept in memory only.
        """
        with self._locked(_PATIENCE) as lock:
            known = Known(token, fingerprint(request), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
            with _in_memory(request) as stdin, self._new("stdout") as out, self._new("stderr") as err:
                # What ended before is not to be taken for this one, also where it can not be started.
                self._write_known(known)
                process = subprocess.Popen(
                    argv,
                    stdin=stdin,
                    stdout=out,
                    stderr=err,
                    cwd="/",
                    pass_fds=(lock,),
                    start_new_session=True,
                )
        process.returncode = 0  # nobody waits for it here: without that Python warns of it
        return known

    def known(self) -> Known | None:
        """Give what is kept of the last job; None where there was none."""
        try:
            return Known(**json.loads((self._directory / "job.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def is_running(self) -> bool:
        """Tell whether the agent's process is there."""
        try:
            with self._locked():
                return False
        except Busy:
            return True

    def look(self, token: str, *, offset: int, seconds: float) -> Look:
        """Wait until it has said something, or has ended, at most so long. Raises Replaced."""
        began = time.monotonic()
        while True:
            running = self.is_running()  # before reading: what it wrote before its end is then seen
            known = self.known()
            if known is None or known.token != token:
                raise Replaced
            events, read = self._read(offset)
            waited = time.monotonic() - began
            enough = seconds if all(event.get("event") == "progress" for event in events) else _SETTLE
            if not running or waited >= enough:
                return Look(running, _without_old_progress(events), read)
            time.sleep(_POLL)

    def last_words(self) -> str:
        """Give the end of what it said for people, or instead of events."""
        found = [self._tail("stderr"), self._tail("stdout")]
        return "\n".join(text for text in found if text)

    def outcome(self) -> Event | None:
        """Give the last line of a job that has ended; None where that is no outcome."""
        events, _ = self._read(0)
        return events[-1] if events and is_final(events[-1]) else None

    def _read(self, offset: int) -> tuple[list[Event], int]:
        try:
            with (self._directory / "stdout").open("rb") as stream:
                stream.seek(offset)
                data = stream.read()  # five lines of progress a second make 4 MiB in an hour
        except FileNotFoundError:
            return [], offset
        whole = data[: data.rfind(b"\n") + 1]
        return list(_events(whole)), offset + len(whole)

    def _tail(self, name: str) -> str:
        try:
            return (self._directory / name).read_bytes()[-_TAIL:].decode(errors="replace").strip()
        except OSError:
            return ""

    def _write_known(self, known: Known) -> None:
        new = self._directory / "job.json.new"
        new.write_text(json.dumps(known.__dict__))
        new.replace(self._directory / "job.json")

    @contextmanager
    def _new(self, name: str) -> Iterator[int]:
        path = self._directory / name
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def _locked(self, patience: float = 0.0) -> Iterator[int]:
        fd = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + patience
        try:
            while not _taken(fd):
                if time.monotonic() >= deadline:
                    raise Busy
                time.sleep(_POLL / 5)
            # Closing it here does not free the lock while a process that inherited it has it open.
            yield fd
        finally:
            os.close(fd)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _in_memory(content: bytes) -> Iterator[int]:
    fd = os.memfd_create("request")
    try:
        with open(fd, "wb", closefd=False) as stream:
            stream.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _events(data: bytes) -> Iterator[Event]:
    for line in data.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # not the agent's; it is among the last words
        if isinstance(event, dict):
            yield event


def _without_old_progress(events: list[Event]) -> list[Event]:
    last = len(events) - 1
    return [
        event for number, event in enumerate(events) if event.get("event") != "progress" or number == last
    ]
