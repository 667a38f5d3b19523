"""A virtual server: a QEMU process with a console log, a control socket and SSH, gone when the block ends."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from .accelerator import acceleration
from .command import tool_environment
from .errors import ServerDied, ServerTimeout, TestbedError
from .keys import KeyPair
from .qemu_command import FIRMWARE_VARIABLES, RunPaths, qemu_arguments
from .qmp import QmpClient
from .serial_console import SerialConsole
from .server_config import ServerConfig
from .ssh import SshConnection, banner_seen

_POLL_SECONDS = 0.2
_START_SECONDS = 20.0


class VirtualServer:
    """Started on entering, killed on leaving. A wait that fails says what the console showed."""

    def __init__(self, config: ServerConfig, *, terminal: bool = False, log: Path | None = None) -> None:
        """`log` is where the serial console goes, and stays; without it the log goes away with the server."""
        self.config = config
        self._terminal = terminal
        self._directory = Path(tempfile.mkdtemp(prefix="byoi-vm-"))
        self._paths = RunPaths(
            qmp=self._directory / "qmp",
            serial_socket=self._directory / "serial",
            serial_log=log or self._directory / "serial.log",
            firmware_log=self._directory / "firmware.log",
            variables=config.firmware_variables or self._directory / "variables.fd",
        )
        self.console = SerialConsole(self._paths.serial_log, self._paths.serial_socket)
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: QmpClient | None = None
        self._connections: list[SshConnection] = []

    def __enter__(self) -> Self:
        """Start QEMU and connect to it; the guest is running when this returns."""
        try:
            self._start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill whatever is left of the server."""
        self._clean_up()

    @property
    def qmp(self) -> QmpClient:
        """The control connection."""
        if self._qmp is None:
            raise TestbedError(f"the server {self.config.name} is not running")
        return self._qmp

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The QEMU process."""
        if self._process is None:
            raise TestbedError(f"the server {self.config.name} is not running")
        return self._process

    def ssh_port(self) -> int:
        """The port on 127.0.0.1 that leads to port 22 of the guest."""
        for line in self.qmp.monitor("info usernet").splitlines():
            fields = line.split()
            if fields and fields[0] == "TCP[HOST_FORWARD]":
                return int(fields[3])
        raise TestbedError("QEMU does not forward any port to the guest")

    def wait_for(self, condition: Callable[[], bool], *, timeout: float, what: str) -> None:
        """Poll `condition` until it holds. `what` completes "… did not come within N s"."""
        deadline = time.monotonic() + timeout
        while not condition():
            self._check_alive(what)
            if time.monotonic() > deadline:
                raise self._timeout(what, timeout)
            time.sleep(_POLL_SECONDS)

    def wait_for_text(self, text: str, *, timeout: float, since: int = 0) -> None:
        """Wait until the serial console has shown `text` after the position `since`."""
        self.wait_for(
            lambda: text in self.console.text(since), timeout=timeout, what=f"“{text}” on the console"
        )

    def wait_for_no_boot(self, *, timeout: float) -> None:
        """Wait until legacy firmware has tried every disk and given up."""
        log = self._paths.firmware_log
        self.wait_for(
            lambda: "No bootable device" in log.read_text(errors="replace"),
            timeout=timeout,
            what="the firmware's word that nothing boots",
        )

    def wait_for_ssh(self, key: KeyPair, *, user: str = "root", timeout: float) -> SshConnection:
        """Wait until sshd greets, then log in; the connection is closed with the server."""
        port = self.ssh_port()
        self.wait_for(lambda: banner_seen(port), timeout=timeout, what="the SSH server's greeting")
        directory = Path(tempfile.mkdtemp(prefix="ssh-", dir=self._directory))
        connection = SshConnection(port=port, user=user, key=key, directory=directory)
        self.wait_for(connection.open, timeout=timeout, what=f"an SSH login as {user}")
        self._connections.append(connection)
        return connection

    def wait_for_reset(self, *, timeout: float, already_seen: int = 0) -> None:
        """Wait until the guest has reset the machine once more than `already_seen` times."""
        self._wait_for_event("RESET", timeout=timeout, already_seen=already_seen)

    def power_off(self, *, timeout: float = 60.0) -> None:
        """Press the power button and wait until the guest has shut itself down and QEMU has ended."""
        self.close_connections()
        self.qmp.execute("system_powerdown")
        self.wait_for_power_off(timeout=timeout)

    def wait_for_power_off(self, *, timeout: float) -> None:
        """Wait for the end of QEMU, which follows the guest's power-off."""
        self._wait_for_event("SHUTDOWN", timeout=timeout)
        try:
            self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired as expired:
            raise self._timeout("the end of QEMU", timeout) from expired

    def reset(self) -> None:
        """Press the reset button."""
        self.close_connections()
        self.qmp.execute("system_reset")

    def kill(self) -> None:
        """Pull the plug: QEMU is killed at once, what it had not written is lost."""
        self.process.kill()
        self.process.wait()

    def close_connections(self) -> None:
        """Close the SSH connections, which would linger until they notice that the guest is gone."""
        while self._connections:
            self._connections.pop().close()

    def _start(self) -> None:
        if self.config.firmware.is_uefi and not self._paths.variables.exists():
            shutil.copyfile(FIRMWARE_VARIABLES[self.config.firmware], self._paths.variables)
        # setpriv: if this process is killed outright, the kernel kills QEMU with it.
        keeper = ("setpriv", "--pdeathsig", "KILL", "--")
        arguments = qemu_arguments(
            self.config, self._paths, acceleration=self._acceleration(), terminal=self._terminal
        )
        with (self._directory / "qemu.log").open("wb") as log:
            own = None if self._terminal else subprocess.DEVNULL
            self._process = subprocess.Popen(
                [*keeper, *arguments],
                stdin=own,
                stdout=None if self._terminal else log,
                stderr=log,
                env=tool_environment(),
            )
        deadline = time.monotonic() + _START_SECONDS
        while self._qmp is None:
            self._check_alive("its control socket")
            self._qmp = self._try_connect()
            if self._qmp is None and time.monotonic() > deadline:
                raise self._timeout("QEMU's control socket", _START_SECONDS)

    def _acceleration(self) -> tuple[str, ...]:
        boot = self.config.kernel_boot
        return acceleration(boot.kernel if boot else None)

    def _try_connect(self) -> QmpClient | None:
        try:
            return QmpClient(self._paths.qmp)
        except (FileNotFoundError, ConnectionRefusedError):
            time.sleep(0.05)
            return None

    def _wait_for_event(self, name: str, *, timeout: float, already_seen: int = 0) -> None:
        try:
            self.qmp.wait_event(name, timeout=timeout, already_seen=already_seen)
        except TimeoutError as expired:
            raise self._timeout(f"the event {name}", timeout) from expired

    def _check_alive(self, what: str) -> None:
        code = self.process.poll()
        if code is not None:
            said = (self._directory / "qemu.log").read_text(errors="replace").strip()
            raise ServerDied(
                f"{self.config.name}: QEMU ended (exit code {code}) before {what}\n{said}\n"
                f"{self.console.tail()}"
            )

    def _timeout(self, what: str, seconds: float) -> ServerTimeout:
        return ServerTimeout(
            f"{self.config.name}: {what} did not come within {seconds:.0f} s; the end of the console:\n"
            f"{self.console.tail()}"
        )

    def _clean_up(self) -> None:
        self.close_connections()
        if self._process is not None:
            self.kill()
        if self._qmp is not None:
            self._qmp.close()
        shutil.rmtree(self._directory, ignore_errors=True)
