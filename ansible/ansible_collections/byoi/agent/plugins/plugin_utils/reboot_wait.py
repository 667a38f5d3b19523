"""Waits for the end of one system and the start of another, and knows what is not worth waiting for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible_collections.byoi.agent.plugins.plugin_utils.system import System, is_called

Result = dict[str, Any]
Ask = Callable[[], "System | str"]
"""Gives the system that answers over a new connection, or in words why none does."""

PAUSE = 3.0
GRACE = 60.0
"""Seconds that cloud-init may take to set the host name once the system answers."""
_TELL_AFTER = 60.0
_OTHER_HOST_KEY = ("host key verification failed", "remote host identification has changed", "key mismatch")


class Over(Exception):
    """There is nothing to wait for any more; the fields say why, and what to do."""

    def __init__(self, message: str, *, detail: str, hint: str) -> None:
        """Keep the fields of the result."""
        super().__init__(message)
        self.result: Result = {"failed": True, "msg": message, "detail": detail, "hint": hint}


class RebootWait:
    """Waits at most ``timeout`` seconds, from now on."""

    def __init__(
        self,
        *,
        boot_id: str,
        timeout: float,
        ask: Ask,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``boot_id`` is that of the system that is to end; ``tell`` is given a line now and then."""
        self._boot_id = boot_id
        self._timeout = timeout
        self._ask = ask
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._began = self._told = clock()

    def until_stopped(self) -> Result:
        """Wait until the system is gone; raises Over."""
        while self._seconds() < self._timeout:
            found = self._ask()
            if isinstance(found, str) or found.boot_id != self._boot_id:
                return {"seconds": round(self._seconds())}
            self._sleep(PAUSE)
        raise Over(
            f"The rescue system is still running {self._timeout:.0f} s after it was told to reboot.",
            detail="It answers over SSH, and its boot id is the same.",
            hint="The image is deployed. Reboot the server by hand.",
        )

    def until_started(self, hostname: str | None) -> Result:
        """Wait until a new system answers that is called so; raises Over."""
        reason, answered = "it did not answer", None
        while self._seconds() < self._timeout:
            found = self._ask()
            if isinstance(found, str):
                reason = _no_other_host_key(found)
            elif found.boot_id == self._boot_id:
                reason = "the rescue system is still running"
            elif hostname is None or is_called(_no_rescue_system(found), hostname):
                return {
                    "seconds": round(self._seconds()),
                    "boot_id": _no_rescue_system(found).boot_id,
                    "hostname": found.hostname,
                }
            else:
                answered = answered if answered is not None else self._seconds()
                if self._seconds() - answered >= GRACE or self._seconds() + PAUSE >= self._timeout:
                    raise _other_name(found, hostname)
            self._say_something()
            self._sleep(PAUSE)
        raise Over(
            f"The new system has not answered over SSH within {self._timeout:.0f} s.",
            detail=f"The last try: {reason}.",
            hint="Look at the server's console. The image is deployed; the server may have to be told to"
            " start from its disk, or the user (byoi_new_user) may be another one.",
        )

    def _say_something(self) -> None:
        if self._clock() - self._told >= _TELL_AFTER:
            self._told = self._clock()
            self._tell(f"Waiting for the new system: {self._seconds():.0f} s")

    def _seconds(self) -> float:
        return self._clock() - self._began


def _no_rescue_system(found: System) -> System:
    if not found.verdict.rescue:
        return found
    raise Over(
        "The server has started its rescue system again.",
        detail=f"After the reboot {found.verdict.reason}.",
        hint="The image is deployed. Tell the server's provider or firmware to start it from its disk, and"
        " reboot it; byoi_before_reboot can name tasks that do so.",
    )


def _no_other_host_key(reason: str) -> str:
    if not any(words in reason.lower() for words in _OTHER_HOST_KEY):
        return reason
    raise Over(
        "The host key of the new system is not one that is known.",
        detail=f"The new system has host keys of its own, and ssh refuses them: {reason}.",
        hint="The image is deployed. Give the server its host keys through user data and name them in"
        " byoi_host_keys; or let the old ones be forgotten (byoi_forget_host_key) where ssh takes new ones"
        " (StrictHostKeyChecking=accept-new).",
    )


def _other_name(found: System, hostname: str) -> Over:
    return Over(
        f"The new system is not called {hostname}.",
        detail=f"Its host name is {found.hostname}: it has not taken what stands on the ConfigDrive.",
        hint="See on the server what cloud-init says: cloud-init status --long. For an image that sets no"
        " host name: byoi_check_hostname: false.",
    )
