"""Deploys an image to a server in its rescue system, and watches that to its end.

It runs where ansible-playbook does. What runs in the rescue system is the module byoi_agent_job, for some
seconds at a time: the deployment itself goes on without the connection.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.byoi.agent.plugins.plugin_utils import outcome
from ansible_collections.byoi.agent.plugins.plugin_utils.narrator import Narrator
from ansible_collections.byoi.agent.plugins.plugin_utils.patient import Patient, notice_silence
from ansible_collections.byoi.agent.plugins.plugin_utils.request import (
    ARGUMENTS,
    NoText,
    as_json,
    documented,
    refuse_data_for_text,
)

Result = dict[str, Any]

_MODULE = "byoi.agent.byoi_agent_job"
_FIRST_PATIENCE = 60
_WAIT = 10
_SAID = {
    "running": "The same request is being carried out here already; that is watched.",
    "done": "The same request has been carried out here already.",
}
_FIELDS = ("msg", "detail", "hint", "exit_code", "exception", "module_stderr", "module_stdout", "rc")


class _ModuleFailed(Exception):
    """The module could not do what it was told to."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__(str(answer.get("msg")))
        self.result = {name: answer[name] for name in _FIELDS if name in answer}
        self.is_a_word = "exit_code" in answer
        """Whether the module itself says so, and has not just come to nothing."""


class ActionModule(ActionBase):
    """What Ansible looks for."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> Result:
        """Carry the task out."""
        result: Result = super().run(tmp, task_vars)
        self._vars = task_vars or {}
        self._host = self._vars.get("inventory_hostname", "")
        self._check = bool(self._task.check_mode)
        try:
            refuse_data_for_text(self._task.args)
            _, self._arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        # Not raised on: Ansible would show the lines of the playbook, and what stands there may be secret.
        except (NoText, AnsibleActionFail) as error:
            return {**result, "failed": True, "msg": str(error), "exit_code": 2}
        notice_silence(self._connection)
        try:
            return {**result, **self._deploy()}
        except _ModuleFailed as failure:
            return {**result, "failed": True, "changed": False, **failure.result}

    def cleanup(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature is Ansible's
        """Remove the temporary directory, where the server is there."""
        # What is left lies in the rescue system's memory, and the result of the task counts for more.
        with contextlib.suppress(AnsibleError):
            super().cleanup(force)

    def _deploy(self) -> Result:
        purpose = "plan" if self._check else "deploy"
        began = self._start(purpose)
        if self._check and began["state"] != "started":
            return outcome.goes_on()
        if began["state"] in _SAID:
            self._tell(_SAID[began["state"]])
        last = self._watch(purpose, began["job"])
        if self._check:
            return outcome.planned(last)
        return outcome.deployed(last, changes=began["state"] != "done")

    def _start(self, purpose: str) -> Result:
        # The same word at each try: the answer may be lost when it was started.
        token = uuid.uuid4().hex
        request = as_json(documented(self._arguments))
        arguments = {"action": "start", "purpose": purpose, "token": token, "request": request}
        patience = min(_FIRST_PATIENCE, self._arguments["reconnect_timeout"])
        return self._patient().reach(
            lambda: self._module({**arguments, "again": self._arguments["force"]}), seconds=patience
        )

    def _watch(self, purpose: str, job: str) -> Mapping[str, Any]:
        """Tell what it does until it has ended; give its last word."""
        narrator, offset = Narrator(), 0
        while True:
            seen = self._look({"purpose": purpose, "token": job, "offset": offset, "wait": _WAIT})
            offset = seen["offset"]
            lines = narrator.lines(seen["events"])
            if not seen["running"]:
                last: Mapping[str, Any] = seen["outcome"] if "outcome" in seen else seen["events"][-1]
                return last
            for line in lines:
                self._tell(line)

    def _look(self, arguments: Result) -> Result:
        def look() -> Result:
            try:
                return self._module({"action": "look", **arguments})
            except _ModuleFailed as failure:
                if failure.is_a_word:
                    raise
                raise AnsibleError(str(failure)) from None  # it was killed, or its answer is cut short

        return self._patient().follow(look, seconds=self._arguments["reconnect_timeout"])

    def _patient(self) -> Patient:
        return Patient(self._connection, tell=self._tell)

    def _module(self, arguments: Result) -> Result:
        answer: Result = self._execute_module(
            module_name=_MODULE,
            module_args={"agent": self._arguments["agent"], **arguments},
            task_vars=self._vars,
        )
        if answer.get("failed"):
            raise _ModuleFailed(answer)
        return answer

    def _tell(self, line: str) -> None:
        if self._arguments["show_progress"]:
            Display().display(f"[{self._host}] {line}")
