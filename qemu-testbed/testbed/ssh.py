"""Commands in a virtual server over OpenSSH.

One master connection per login carries every command: a handshake takes about a second without hardware
virtualisation. Host keys are not checked, because every boot of a test image makes new ones.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .command import tool_environment
from .errors import RemoteCommandFailed, TestbedError
from .keys import KeyPair

_LOGIN_SECONDS = 30.0
_OPTIONS = (
    *("-F", "none"),
    *("-o", "StrictHostKeyChecking=no"),
    *("-o", "UserKnownHostsFile=/dev/null"),
    *("-o", "GlobalKnownHostsFile=/dev/null"),
    *("-o", "IdentitiesOnly=yes"),
    *("-o", "BatchMode=yes"),
    *("-o", "LogLevel=ERROR"),
    *("-o", "ServerAliveInterval=5"),
    *("-o", "ServerAliveCountMax=12"),
)


@dataclass(frozen=True)
class RemoteResult:
    """What a command in the guest left behind."""

    exit_code: int
    stdout: str
    stderr: str


def banner_seen(port: int) -> bool:
    """Whether an SSH server greets behind `port`.

    QEMU accepts the connection itself, whether the guest listens or not, so only the greeting tells.
    """
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=3.0) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


class SshConnection:
    """A login as one user with one key."""

    def __init__(self, *, port: int, user: str, key: KeyPair, directory: Path) -> None:
        """`directory` takes the control socket; its path has to be short (108 bytes in all)."""
        self.port = port
        self.user = user
        self.key = key
        self._control = directory / "control"
        self._log = directory / "login.log"

    def open(self) -> bool:
        """Log in and leave the master connection in the background; False where that fails."""
        command = self._ssh("-o", "ControlMaster=yes", "-fN", "-o", f"ConnectTimeout={_LOGIN_SECONDS:.0f}")
        with self._log.open("wb") as log:  # not a pipe: the master in the background would hold it open
            try:
                finished = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=tool_environment(),
                    timeout=2 * _LOGIN_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return False
        return finished.returncode == 0

    def close(self) -> None:
        """End the master connection; nothing happens where it is gone already."""
        command = self._ssh("-O", "exit")
        subprocess.run(command, capture_output=True, env=tool_environment(), timeout=10, check=False)

    def cut(self) -> None:
        """Lose the connection with all that runs over it, as when the client's machine fails."""
        command = self._ssh("-O", "check")
        answer = subprocess.run(command, capture_output=True, env=tool_environment(), timeout=10, check=True)
        found = re.search(rb"pid=([0-9]+)", answer.stderr)
        if found is None:
            raise TestbedError(f"ssh does not tell its process: {answer.stderr!r}")
        os.kill(int(found[1]), signal.SIGKILL)

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        timeout: float = 60.0,
        on_line: Callable[[str], None] | None = None,
        expect: Sequence[int] | None = (0,),
        terminal: bool = False,
    ) -> RemoteResult:
        """Run a command and return its outcome; `on_line` gets each line of standard output as it comes.

        `expect` are the exit codes that are right (None: any); another one raises RemoteCommandFailed. ssh's
        own failure is exit code 255. After `timeout` seconds TestbedError is raised. With `terminal` the
        command has one in the guest, which is gone with the connection.
        """
        command = shlex.join(arguments)
        result = self._collect(command, stdin=stdin, timeout=timeout, on_line=on_line, terminal=terminal)
        if expect is not None and result.exit_code not in expect:
            tail = (result.stdout + result.stderr)[-3000:]
            raise RemoteCommandFailed(
                f"{shlex.join(arguments)}: exit code {result.exit_code}\n{tail}", exit_code=result.exit_code
            )
        return result

    def output(self, *arguments: str, timeout: float = 60.0) -> str:
        """Standard output of a command that has to succeed, without the white space around it."""
        return self.run(*arguments, timeout=timeout).stdout.strip()

    def copy(self, source: Path, target: str, *, timeout: float = 300.0) -> None:
        """Copy a file into the guest."""
        self.write(source.read_bytes(), target, timeout=timeout)

    def write(self, content: bytes, target: str, *, timeout: float = 300.0) -> None:
        """Write `content` to the file `target` in the guest."""
        self.run("dd", f"of={target}", "bs=1M", "status=none", stdin=content, timeout=timeout)

    def _ssh(self, *options: str) -> list[str]:
        return [
            "ssh",
            *_OPTIONS,
            *("-p", str(self.port), "-i", str(self.key.private), "-o", f"ControlPath={self._control}"),
            *options,
            f"{self.user}@127.0.0.1",
        ]

    def _collect(
        self,
        command: str,
        *,
        stdin: bytes,
        timeout: float,
        on_line: Callable[[str], None] | None,
        terminal: bool,
    ) -> RemoteResult:
        wanted = ("-tt",) if terminal else ()
        process = subprocess.Popen(
            [*self._ssh("-o", "ControlMaster=no", *wanted), command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=tool_environment(),
        )
        assert process.stdin and process.stdout and process.stderr
        lines: list[str] = []
        errors: list[bytes] = []
        with process:
            workers = [
                threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True),
                threading.Thread(target=_drain, args=(process.stderr, errors), daemon=True),
            ]
            expired = threading.Event()
            alarm = threading.Timer(timeout, _expire, (expired, process))
            for worker in (*workers, alarm):
                worker.start()
            try:
                for raw in process.stdout:
                    line = raw.decode(errors="replace")
                    lines.append(line)
                    if on_line is not None:
                        on_line(line.rstrip("\n"))
                process.wait()
            finally:
                alarm.cancel()
                process.kill()
            for worker in workers:
                worker.join(timeout=10)
        if expired.is_set():
            raise TestbedError(f"{command}: no end after {timeout:.0f} s\n{''.join(lines)[-3000:]}")
        return RemoteResult(process.returncode, "".join(lines), b"".join(errors).decode(errors="replace"))


def _expire(expired: threading.Event, process: subprocess.Popen[bytes]) -> None:
    expired.set()
    process.kill()


def _feed(pipe: IO[bytes], content: bytes) -> None:
    try:
        with pipe:
            pipe.write(content)
    except OSError:
        pass  # the command ended without reading its input, which is its right


def _drain(pipe: IO[bytes], into: list[bytes]) -> None:
    into.extend(pipe)
