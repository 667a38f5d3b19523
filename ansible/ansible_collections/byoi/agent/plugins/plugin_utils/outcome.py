"""From the last word of byoi-agent to the result of a task."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

Event = Mapping[str, Any]
Result = dict[str, Any]

_NOT_OF_THE_STATUS = ("v", "event", "exitCode")


def deployed(last: Event, *, changes: bool) -> Result:
    """Give the result of a deployment that has ended. ``changes``: whether it ran while this task did."""
    status = {name: value for name, value in last.items() if name not in _NOT_OF_THE_STATUS}
    touched = bool(status.get("diskTouched"))
    result: Result = {
        "changed": changes and touched,
        "status": status,
        "message": status["message"],
        "detail": status.get("detail"),
        "hint": status.get("hint"),
        "exit_code": last.get("exitCode", 1),
        "disk": status.get("disk"),
        "disk_touched": touched,
        "duration": _seconds(status),
        **_warnings(status),
    }
    if last["event"] == "done":
        return {**result, "msg": _deployed_on(status)}
    return {**result, "failed": True, "msg": status["message"]}


def planned(last: Event) -> Result:
    """Give the result of a plan, or of the failure to make one."""
    if last.get("event") == "error":
        return {**deployed(last, changes=False), "disk_touched": False}
    plan = dict(last)
    return {
        "changed": True,
        "msg": f"The image would be written to {plan['disk']['path']}.",
        "plan": plan,
        "disk": plan["disk"],
        "disk_touched": False,
        "exit_code": 0,
        **_warnings(plan),
    }


def goes_on() -> Result:
    """Give what check mode says of a server where the same request is being carried out, or has been."""
    return {
        "changed": False,
        "msg": "The same request is being carried out on this server, or has been.",
        "disk_touched": False,
        "exit_code": 0,
    }


def _warnings(told: Event) -> Result:
    """Give what Ansible shows as warnings beside the result."""
    return {"warnings": list(told["warnings"])} if told.get("warnings") else {}


def _deployed_on(status: Event) -> str:
    return f"The image is on {status['disk']['path']}." if status.get("disk") else "The image is deployed."


def _seconds(status: Event) -> float | None:
    """Give how long it took, in seconds; None where its beginning or its end is not known."""
    try:
        began, ended = (datetime.fromisoformat(status[name][:-1]) for name in ("startedAt", "finishedAt"))
    except (KeyError, TypeError, ValueError):
        return None
    return (ended - began).total_seconds()
