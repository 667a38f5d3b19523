#!/usr/bin/python
"""Starts byoi-agent in the rescue system, and looks at it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: byoi_agent_job
short_description: The part of byoi_deploy that runs in the rescue system
version_added: "0.1.0"
description:
  - Starts C(byoi-agent) so that it goes on without the connection, or looks at what it has done since.
  - M(byoi.agent.byoi_deploy) calls it; playbooks have no use for it.
author:
  - byoi-agent maintainers (@byoi-agent)
options:
  action:
    description: Start it, or find it running; or look at it.
    type: str
    choices: [start, look]
    required: true
  purpose:
    description: What is started.
    type: str
    choices: [deploy, plan]
    required: true
  agent:
    description: The words that start C(byoi-agent).
    type: list
    elements: str
    required: true
  token:
    description: Names the run of the task, or the job that is looked at.
    type: str
    required: true
  request:
    description: The request as JSON.
    type: str
  again:
    description: Start it although the same request has been carried out already.
    type: bool
    default: false
  offset:
    description: How far its output was read already, in bytes.
    type: int
    default: 0
  wait:
    description: Seconds to wait for something new.
    type: int
    default: 10
attributes:
  check_mode:
    support: full
    description: A deployment is not started.
"""

EXAMPLES = r"""
- name: It is called by another one
  byoi.agent.byoi_deploy:
    url: https://images.example/debian-12.qcow2
    type: qcow2
"""

RETURN = r"""
job:
  description: The job that was started or found; O(token) for those who look.
  returned: O(action=start)
  type: str
state:
  description: Whether it was V(started), was V(running) already, or has been V(done) before.
  returned: O(action=start)
  type: str
running:
  description: Whether it goes on.
  returned: O(action=look)
  type: bool
events:
  description: What it has written since, without progress that is no longer true.
  returned: O(action=look)
  type: list
  elements: dict
offset:
  description: How far its output has been read, in bytes.
  returned: O(action=look)
  type: int
outcome:
  description: The outcome, where it has ended without writing it.
  returned: O(action=look), when it has ended
  type: dict
"""

import json
import subprocess
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.byoi.agent.plugins.module_utils.job import (
    Busy,
    Event,
    Job,
    Known,
    Replaced,
    fingerprint,
    is_final,
    run_directory,
)

_STATUS_SECONDS = 120.0
_ARGUMENTS = {
    "action": {"type": "str", "choices": ["start", "look"], "required": True},
    "purpose": {"type": "str", "choices": ["deploy", "plan"], "required": True},
    "agent": {"type": "list", "elements": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": False},
    # As a whole: its parts would be blacked out of the messages, too, where one of them is a short word.
    "request": {"type": "str", "no_log": True},
    "again": {"type": "bool", "default": False},
    "offset": {"type": "int", "default": 0},
    "wait": {"type": "int", "default": 10},
}
_WORDS = {"deploy": ("deploy", "-", "--yes", "--json"), "plan": ("plan", "-", "--json")}


class _Failure(Exception):
    """The module can not do it; the fields say why."""

    def __init__(self, message: str, *, detail: str, hint: str) -> None:
        super().__init__(message)
        self.fields = {"msg": message, "detail": detail, "hint": hint, "exit_code": 3}


def main() -> None:
    """Do what the task asks for."""
    module = AnsibleModule(argument_spec=_ARGUMENTS, supports_check_mode=True)
    try:
        act = _start if module.params["action"] == "start" else _look
        module.exit_json(changed=False, **act(module.params, check_mode=module.check_mode))
    except _Failure as failure:
        module.fail_json(**failure.fields)


def _start(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    purpose, request = params["purpose"], params["request"].encode()
    job = _job(purpose)
    known = job.known()
    if known is not None and known.token == params["token"]:
        return {"state": "started", "job": known.token}  # the answer to the first asking was lost
    found = _found(params, fingerprint(request))
    if found is not None:
        return found
    if purpose == "deploy" and check_mode:
        raise _Failure("In check mode nothing is deployed.", detail="A plan is made.", hint="Report this.")
    return {"state": "started", "job": _started(job, params, request).token}


def _job(purpose: str) -> Job:
    directory = run_directory() / "ansible" / purpose
    try:
        return Job(directory)
    except OSError as error:
        raise _Failure(
            "The run directory can not be used.",
            detail=f"{directory}: {error.strerror}.",
            hint="Log in as root, or become root.",
        ) from None


def _started(job: Job, params: dict[str, Any], request: bytes) -> Known:
    argv = [*params["agent"], *_WORDS[params["purpose"]]]
    try:
        return job.start(argv, request, token=params["token"])
    except Busy:
        raise _Failure(
            "byoi-agent is being started on this server already.",
            detail="Another run of Ansible has just done so.",
            hint="Run the playbook again when the other run has ended.",
        ) from None
    except OSError as error:
        raise _Failure(
            "byoi-agent could not be started.",
            detail=f"{argv[0]}: {error.strerror}.",
            hint="Name the words that start it in agent, or let the role ship the single file"
            " (byoi_single_file).",
        ) from None


def _found(params: dict[str, Any], wanted: str) -> dict[str, Any] | None:
    """Give the deployment of the same request that is running, or is done; None where one may be started."""
    job = _job("deploy")
    running, known = job.is_running(), job.known()
    if known is None:
        return None
    if running and known.fingerprint != wanted:
        raise _Failure(
            "Another deployment is running on this server.",
            detail=f"Ansible started it at {known.started}, for another request.",
            hint="Watch it with: byoi-agent status --follow. Stop it with: byoi-agent cancel",
        )
    if running:
        return {"state": "running", "job": known.token}
    same = known.fingerprint == wanted and not params["again"]
    return {"state": "done", "job": known.token} if same and _is_still_done(job, params) else None


def _is_still_done(job: Job, params: dict[str, Any]) -> bool:
    """Tell whether the last job ended well, and nothing has been deployed since.

    Without a sum it is not known whether the image is still the same: then it is not.
    """
    outcome = job.outcome()
    if outcome is None or outcome.get("event") != "done" or not json.loads(params["request"]).get("checkSum"):
        return False
    current = _status(params["agent"])
    return current is not None and all(current[name] == outcome[name] for name in ("startedAt", "status"))


def _look(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    del check_mode  # looking changes nothing
    job = _job(params["purpose"])
    try:
        seen = job.look(params["token"], offset=params["offset"], seconds=params["wait"])
    except Replaced:
        raise _Failure(
            "Another deployment has begun.",
            detail="The one that was watched has ended meanwhile; how it ended is not known any more.",
            hint="Look at the new one with: byoi-agent status --follow",
        ) from None
    answer: dict[str, Any] = {"running": seen.running, "events": seen.events, "offset": seen.offset}
    if not seen.running and not any(is_final(event) for event in seen.events):
        answer["outcome"] = job.outcome() or _lost_outcome(job, params)
    return answer


def _lost_outcome(job: Job, params: dict[str, Any]) -> Event:
    known = job.known()
    if params["purpose"] == "deploy" and known is not None and (status := _own_status(known, params)):
        return status
    return {
        "event": "error",
        "exitCode": 1,
        "status": "error",
        "message": "byoi-agent ended without saying how.",
        "detail": job.last_words() or "It said nothing at all.",
        "hint": "Start it by hand in the rescue system to see what it says: byoi-agent doctor",
    }


def _own_status(known: Known, params: dict[str, Any]) -> Event | None:
    """Give the status that the job left, as an event; None where it left none."""
    left = _status(params["agent"])
    if left is None or left["status"] == "doing" or left["startedAt"] < known.started:
        return None
    # This one comes with the exit code that the deployment had.
    ended = _status(params["agent"], "--follow") or left
    return {"event": "done" if ended["status"] == "done" else "error", "exitCode": 1, **ended}


def _status(agent: list[str], *words: str) -> Event | None:
    """Ask the agent for the status; None where there is none."""
    argv = [*agent, "status", "--json", "--full", *words]
    try:
        answer = subprocess.run(
            argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=_STATUS_SECONDS, check=False
        )
        status = json.loads(answer.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return None
    if not isinstance(status, dict) or "startedAt" not in status:
        return None
    return {**({"exitCode": answer.returncode} if words else {}), **status}


if __name__ == "__main__":
    main()
