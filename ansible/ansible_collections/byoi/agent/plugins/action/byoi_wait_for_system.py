"""Waits until a server has left its rescue system, or has started the new one."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.byoi.agent.plugins.plugin_utils.patient import notice_silence, reset
from ansible_collections.byoi.agent.plugins.plugin_utils.reboot_wait import Over, RebootWait
from ansible_collections.byoi.agent.plugins.plugin_utils.system import QUESTION, System, read

Result = dict[str, Any]

_ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["stopped", "started"], "required": True},
    "boot_id": {"type": "str", "required": True},
    "hostname": {"type": "str"},
    "timeout": {"type": "int", "default": 600},
}
_TAIL = 500


class ActionModule(ActionBase):
    """What Ansible looks for."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> Result:
        """Carry the task out."""
        result: Result = super().run(tmp, task_vars)
        host = (task_vars or {}).get("inventory_hostname", "")
        try:
            _, arguments = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        except AnsibleActionFail as error:
            return {**result, "failed": True, "msg": str(error)}
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "In check mode no server reboots."}
        notice_silence(self._connection)
        wait = RebootWait(
            boot_id=arguments["boot_id"],
            timeout=arguments["timeout"],
            ask=self._ask,
            tell=lambda line: Display().display(f"[{host}] {line}"),
        )
        stops = arguments["state"] == "stopped"
        try:
            found = wait.until_stopped() if stops else wait.until_started(arguments["hostname"])
        except Over as over:
            found = over.result
        return {**result, "changed": False, **found}

    def _ask(self) -> System | str:
        reset(self._connection)
        try:
            answer = self._low_level_execute_command(QUESTION, sudoable=False)
        except AnsibleError as error:
            return " ".join(str(error).split())
        found = read(answer["stdout"]) if answer["rc"] == 0 else None
        said = " ".join(f"{answer['stderr']} {answer['stdout']}".split())
        return found or said[-_TAIL:] or "it gave no answer"
