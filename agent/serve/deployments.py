"""The deployment of this server as the calls see it: started, asked for, stopped, one change at a time."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from agent import run_lock
from agent.cancellation import PATIENCE, not_now, not_stopped, tell_to_end
from agent.errors import AlreadyRunning, Refused
from agent.run_directory import RunDirectory
from agent.serve.deployment_process import DeployCommand, DeploymentProcess
from agent.serve.few_at_once import FewAtOnce
from agent.serve.refusal import CallRefused
from agent.serve.threads import Threads
from agent.status import Status
from agent.status_now import status_now

_POLL = 0.03
_BEGIN_PATIENCE = 60.0
_MOST_WAITING = 8


class Deployments:
    """There is one deployment at a time, whoever started it."""

    def __init__(self, command: DeployCommand, threads: Threads) -> None:
        """``command`` carries out a request."""
        self._command = command
        self._where: RunDirectory = command.where
        self._threads = threads
        self._change = asyncio.Lock()
        self._waiting = FewAtOnce(_MOST_WAITING)

    async def status(self, name: str) -> Status:
        """Give the status of the server ``name``. Raises CallRefused where there is none, and Refused."""
        found = await self._threads.run(status_now, self._where)
        if found is None or found.servername != name:
            raise _no_status()
        return found

    async def start(self, request: bytes) -> None:
        """Start a deployment; its status is there when this returns. Raises CallRefused, CommandError."""
        async with self._one_change():
            if await self._is_held():
                raise _busy()
            process = await self._threads.run(self._command.start, request)
            await self._until_begun(process)

    async def delete(self, name: str) -> None:
        """Stop the deployment, if it runs, and erase the status. Raises CallRefused, Refused."""
        async with self._one_change():
            with contextlib.suppress(Refused):  # a status that can not be read is no reason to keep it
                await self.status(name)
            await self._until_stopped()
            try:
                await self._threads.run(self._erase)
            except AlreadyRunning:
                raise _busy() from None

    @asynccontextmanager
    async def _one_change(self) -> AsyncIterator[None]:
        with self._waiting.one():
            async with self._change:
                yield

    async def _is_held(self) -> bool:
        return await self._threads.run(run_lock.is_held, self._where.lock)

    async def _until_begun(self, process: DeploymentProcess) -> None:
        deadline = time.monotonic() + _BEGIN_PATIENCE
        while not await self._threads.run(lambda: process.has_begun):
            if (code := process.exit_code) is not None:
                await self._check_ended(process, code)
                return
            if time.monotonic() > deadline:
                process.end()
                raise _not_begun(f"It left no status within {_BEGIN_PATIENCE:.0f} s.")
            await asyncio.sleep(_POLL)

    async def _check_ended(self, process: DeploymentProcess, code: int) -> None:
        """Find out what became of one that has ended already."""
        if await self._is_held():
            raise _busy()  # somebody else was faster
        if not await self._threads.run(lambda: process.status_is_new):
            raise _not_begun(f"Its process ended with exit code {code}, and left no status.")

    async def _until_stopped(self) -> None:
        deadline, told = time.monotonic() + PATIENCE, 0
        while await self._is_held():
            if not told:
                told = await self._threads.run(self._tell_to_end)
            if time.monotonic() > deadline:
                error = not_stopped(told, PATIENCE) if told else not_now()
                raise CallRefused(
                    HTTPStatus.CONFLICT, "NOT_STOPPED", error.message, detail=error.detail, hint=error.hint
                )
            await asyncio.sleep(_POLL)

    def _tell_to_end(self) -> int:
        try:
            return tell_to_end(self._where)
        except Refused:
            return 0  # it has only just begun, or is about to end

    def _erase(self) -> None:
        with run_lock.hold(self._where.lock):
            self._where.status.unlink(missing_ok=True)


def _no_status() -> CallRefused:
    return CallRefused(
        HTTPStatus.NOT_FOUND,
        "NOT_FOUND",
        "There is no deployment on this server.",
        detail="None was started under this name, or its status was erased.",
        hint="Start one with a POST to the same URL.",
    )


def _busy() -> CallRefused:
    return CallRefused(
        HTTPStatus.CONFLICT,
        "DEPLOYMENT_RUNNING",
        "Another deployment is running on this server.",
        detail="One is carried out at a time, and it may have been started by hand.",
        hint="Wait for its end, or stop it with a DELETE to the same URL.",
    )


def _not_begun(detail: str) -> CallRefused:
    return CallRefused(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "NOT_STARTED",
        "The deployment could not be started.",
        detail=detail,
        hint="See what is wrong with: byoi-agent deploy, on the server itself.",
    )
