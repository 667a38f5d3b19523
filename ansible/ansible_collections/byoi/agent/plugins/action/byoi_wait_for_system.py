"""Waits until a server has left its rescue system, or has started the new one."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.byoi.agent.plugins.plugin_utils.patient import reset
from ansible_collections.byoi.agent.plugins.plugin_utils.system import QUESTION, System, is_called, read

Result = dict[str, Any]

_ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["stopped", "started"], "required": True},
    "boot_id": {"type": "str", "required": True},
    "hostname": {"type": "str"},
    "timeout": {"type": "int", "default": 600},
}
_PAUSE = 3.0
_TELL_AFTER = 60.0
_GRACE = 60.0
"""Seconds that cloud-init may take to set the host name once the system answers."""
_HOST_KEY = ("host key verification failed", "remote host identification has changed", "host key mismatch")


class _Over(Exception):
    """There is nothing to wait for any more; the fields say why."""

    def __init__(self, message: str, *, detail: str, hint: str) -> None:
        super().__init__(message)
        self.result: Result = {"failed": True, "msg": message, "detail": detail, "hint": hint}


class ActionModule(ActionBase):
    """What Ansible looks for."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> Result:
        """Carry the task out."""
        result: Result = super().run(tmp, task_vars)
        self._host = (task_vars or {}).get("inventory_hostname", "")
        try:
            _, arguments = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        except AnsibleActionFail as error:
            return {**result, "failed": True, "msg": str(error)}
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "In check mode no server reboots."}
        self._boot_id, self._hostname = arguments["boot_id"], arguments["hostname"]
        self._began = time.monotonic()
        self._error = "it did not answer"
        self._answered: float | None = None
        wait = self._until_stopped if arguments["state"] == "stopped" else self._until_started
        try:
            return {**result, "changed": False, **wait(arguments["timeout"])}
        except _Over as over:
            return {**result, "changed": False, **over.result}

    def _until_stopped(self, timeout: float) -> Result:
        while self._seconds() < timeout:
            found = self._ask()
            if found is None or found.boot_id != self._boot_id:
                return {"seconds": round(self._seconds())}
            time.sleep(_PAUSE)
            reset(self._connection)
        raise _Over(
            f"The rescue system is still running {timeout:.0f} s after it was told to reboot.",
            detail="It answers over SSH, and its boot id is the same.",
            hint="The image is deployed. Reboot the server by hand.",
        )

    def _until_started(self, timeout: float) -> Result:
        told = 0.0
        while self._seconds() < timeout:
            reset(self._connection)
            found = self._ask()
            if found is None:
                self._refuse_other_host_key()
            elif self._is_new(found, deadline=timeout):
                return {
                    "seconds": round(self._seconds()),
                    "boot_id": found.boot_id,
                    "hostname": found.hostname,
                }
            if self._seconds() - told >= _TELL_AFTER:
                told = self._seconds()
                Display().display(f"[{self._host}] Waiting for the new system: {told:.0f} s")
            time.sleep(_PAUSE)
        raise _Over(
            f"The new system has not answered over SSH within {timeout:.0f} s.",
            detail=f"The last try: {self._error}.",
            hint="Look at the server's console. The image is deployed; the server may have to be told to"
            " start from its disk, or the user (byoi_new_user) may be another one.",
        )

    def _is_new(self, found: System, *, deadline: float) -> bool:
        """Tell whether it is the system that was waited for; raise _Over where it will never be that."""
        if found.boot_id == self._boot_id:
            self._error = "the rescue system is still running"
            return False
        if found.verdict.rescue:
            raise _Over(
                "The server has started its rescue system again.",
                detail=f"After the reboot {found.verdict.reason}.",
                hint="The image is deployed. Tell the server's provider or firmware to start it from its"
                " disk, and reboot it; byoi_before_reboot can name tasks that do so.",
            )
        if self._hostname is None or is_called(found, self._hostname):
            return True
        self._error = f"its host name is {found.hostname}"
        now = self._seconds()
        self._answered = self._answered if self._answered is not None else now
        if now - self._answered >= _GRACE or now + _PAUSE >= deadline:
            raise _Over(
                f"The new system is not called {self._hostname}.",
                detail=f"Its host name is {found.hostname}: it has not taken what stands on the ConfigDrive.",
                hint="See on the server what cloud-init says: cloud-init status --long. For an image that"
                " sets no host name: byoi_check_hostname: false.",
            )
        return False

    def _ask(self) -> System | None:
        try:
            answer = self._low_level_execute_command(QUESTION, sudoable=False)
        except AnsibleError as error:
            self._error = " ".join(str(error).split())
            return None
        if answer["rc"] != 0:
            self._error = " ".join(f"{answer['stderr']} {answer['stdout']}".split())[-500:]
            return None
        return read(answer["stdout"])

    def _refuse_other_host_key(self) -> None:
        if any(words in self._error.lower() for words in _HOST_KEY):
            raise _Over(
                "The host key of the new system is not the one that is known.",
                detail=f"It has keys of its own, which ssh does not know: {self._error}.",
                hint="The image is deployed. Give the server its host keys through user data and name them in"
                " byoi_host_keys, or let the old ones be forgotten (byoi_forget_host_key) where ssh accepts"
                " new ones (StrictHostKeyChecking=accept-new).",
            )

    def _seconds(self) -> float:
        return time.monotonic() - self._began
