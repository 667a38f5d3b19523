"""From the agent's last word to the result of an Ansible task."""

from typing import Any

from ansible_collections.byoi.agent.plugins.plugin_utils.outcome import deployed, planned

LAST: dict[str, Any] = {
    "v": 1,
    "event": "done",
    "exitCode": 0,
    "servername": "web1",
    "status": "done",
    "message": "done",
    "checksum": "ab",
    "detail": None,
    "hint": None,
    "disk": {"path": "/dev/vda", "model": None, "serial": "S", "size": 8},
    "diskTouched": True,
    "warnings": ["Look at the other disk."],
    "startedAt": "2026-11-29T23:59:50Z",
    "finishedAt": "2026-11-30T00:00:12Z",
}
FAILED = LAST | {
    "event": "error",
    "exitCode": 4,
    "status": "error",
    "message": "Bad sha256 for downloaded file, got : 1 while expecting 2.",
    "detail": "The file differs.",
    "hint": "Ask its owner.",
    "diskTouched": False,
    "warnings": [],
}


def test_done() -> None:
    result = deployed(LAST, changes=True)
    assert (result["changed"], result["disk_touched"], result["exit_code"]) == (True, True, 0)
    assert (result["msg"], result["message"], result["duration"]) == (
        "The image is on /dev/vda.",
        "done",
        22.0,
    )
    assert result["warnings"] == ["Look at the other disk."]
    assert result["status"].keys() == LAST.keys() - {"v", "event", "exitCode"}
    assert "failed" not in result


def test_done_before_is_no_change() -> None:
    assert deployed(LAST, changes=False)["changed"] is False


def test_a_failure_has_the_message_to_the_letter_and_the_rest_beside_it() -> None:
    result = deployed(FAILED, changes=True)
    assert (result["failed"], result["changed"]) == (True, False)
    assert result["msg"] == result["message"] == FAILED["message"]
    assert (result["detail"], result["hint"], result["exit_code"]) == (
        "The file differs.",
        "Ask its owner.",
        4,
    )
    assert "warnings" not in result


def test_a_failure_that_cost_the_disk_is_a_change() -> None:
    assert deployed(FAILED | {"diskTouched": True}, changes=True)["changed"] is True


def test_a_killed_deployment_has_no_end_and_no_duration() -> None:
    assert deployed(FAILED | {"finishedAt": None}, changes=True)["duration"] is None


def test_a_plan_is_a_change_that_is_not_made() -> None:
    plan = {"disk": {"path": "/dev/vda", "size": 8}, "warnings": [], "image": {}}
    result = planned(plan)
    assert (result["changed"], result["disk_touched"], result["plan"]) == (True, False, plan)


def test_no_plan() -> None:
    result = planned(FAILED)
    assert (result["failed"], result["changed"], result["msg"]) == (True, False, FAILED["message"])
    assert "plan" not in result
