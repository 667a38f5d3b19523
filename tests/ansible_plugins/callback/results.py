"""An Ansible callback that writes the result of each task as a line of JSON, for tests to read."""

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: results
type: notification
short_description: Results as JSON lines
description: Written to the file that RESULTS names.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "results"
    CALLBACK_NEEDS_ENABLED = True

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write(result, "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write(result, "unreachable")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write(result, "skipped")

    def _write(self, result: Any, end: str) -> None:
        entry = {
            "host": result._host.get_name(),
            "task": result._task.get_name().removeprefix("byoi.agent.byoi_deploy : "),
            "end": end,
            "result": json.loads(json.dumps(result._result, default=str)),
        }
        with Path(os.environ["RESULTS"]).open("a") as stream:
            stream.write(json.dumps(entry) + "\n")
