"""A provisioning system gives the request to ``byoi-agent boot`` and is told how it goes."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.agent_process import Agent, request_for, with_sum
from tests.disk.conftest import serve
from tests.misbehaving_server import MisbehavingServer, Serve

TOKEN = "t0ken"
GROUPS = b'[[group]]\nid = 7\ndisks = [{ serial = "NONE" }]\n'


def test_the_request_is_taken_carried_out_and_reported(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    url = serve(server, qcow2_gpt)
    request = request_for(url, disk, **with_sum(qcow2_gpt), options={"reboot": False})
    server.on("/request", Serve(status=503), Serve(json.dumps(request).encode()))
    ended = boot(agent, server, tmp_path, "byoi.service=ns1.example")
    assert ended == 0
    told = statuses(server)
    assert [told[0]["status"], told[-1]["status"]] == ["doing", "done"]
    assert {one["servername"] for one in told} == {"ns1.example"}
    assert told[0]["message"] == "starting"
    steps = [one["step"] for one in told if one["step"]]
    assert list(dict.fromkeys(steps))[:3] == ["disk", "fetch", "inspect"]
    assert all(seen.headers["Authorization"] == f"Bearer {TOKEN}" for seen in server.seen("/status"))
    assert json.loads(agent.run("status", "--json").stdout)["status"] == "done"


def test_a_deployment_that_fails_is_reported_with_its_message(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    url = serve(server, qcow2_gpt)
    sums = {"checkSum": "0" * 64, "checkSumType": "sha256"}
    request = request_for(url, disk, **sums, options={"reboot": False})
    server.on("/request", Serve(json.dumps(request).encode()))
    before = disk.read_bytes()
    assert boot(agent, server, tmp_path) == 4
    last = statuses(server)[-1]
    assert last["status"] == "error"
    assert last["message"].startswith("Bad sha256 for downloaded file, got : ")
    assert disk.read_bytes() == before


def test_without_a_request_the_provisioning_system_is_told(
    agent: Agent, server: MisbehavingServer, tmp_path: Path
) -> None:
    server.on("/request", Serve(status=404))
    assert boot(agent, server, tmp_path) == 3
    last = statuses(server)[-1]
    assert (last["status"], last["message"]) == (
        "error",
        "No request could be had from the provisioning system.",
    )
    assert json.loads(agent.run("status", "--json").stdout)["message"] == last["message"]


def test_a_request_that_is_wrong_is_reported(agent: Agent, server: MisbehavingServer, tmp_path: Path) -> None:
    server.on("/request", Serve(b'{"URL": "http://a/", "type": "iso"}'))
    assert boot(agent, server, tmp_path) == 2
    assert statuses(server)[-1]["message"] == "Bad format image, expected : qcow2, raw."


def test_a_provisioning_system_that_takes_no_status_does_not_hold_the_deployment_up(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    request = request_for(serve(server, qcow2_gpt), disk, options={"reboot": False})
    server.on("/request", Serve(json.dumps(request).encode()))
    server.on("/status", Serve(status=403))
    started = time.monotonic()
    result = agent.run("boot", "--command-line", str(parameters(server, tmp_path)))
    assert result.returncode == 0
    assert time.monotonic() - started < 60
    assert "The provisioning system was not told how it ended" in result.stderr
    assert TOKEN not in result.stderr


def test_the_disk_group_file_comes_with_the_request_and_stays(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    request = request_for(serve(server, qcow2_gpt), disk, options={"reboot": False})
    server.on("/request", Serve(json.dumps(request).encode()))
    config = server.on("/groups", Serve(status=503), Serve(GROUPS))
    assert boot(agent, server, tmp_path, f"byoi.config={config}") == 0
    assert (agent.run_directory / "disk-groups.toml").read_bytes() == GROUPS
    assert all(seen.headers["Authorization"] == f"Bearer {TOKEN}" for seen in server.seen("/groups"))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Serve(b"default = 0"), "The disk group file "),
        (Serve(status=404), "No disk group file could be had from the provisioning system."),
        (Serve(bytes((1 << 20) + 1)), "The disk group file is too long."),
    ],
)
def test_without_its_disk_group_file_nothing_is_deployed(
    agent: Agent,
    server: MisbehavingServer,
    qcow2_gpt: Path,
    disk: Path,
    tmp_path: Path,
    answer: Serve,
    message: str,
) -> None:
    before = disk.read_bytes()
    request = request_for(serve(server, qcow2_gpt), disk, options={"reboot": False})
    server.on("/request", Serve(json.dumps(request).encode()))
    assert boot(agent, server, tmp_path, f"byoi.config={server.on('/groups', answer)}") in (2, 3)
    assert statuses(server)[-1]["message"].startswith(message)
    assert disk.read_bytes() == before


def test_a_slip_beside_a_disk_group_file_is_told_to_the_provisioning_system(
    agent: Agent, server: MisbehavingServer, tmp_path: Path
) -> None:
    line = tmp_path / "cmdline"
    server.on("/status", Serve(status=200))
    words = {"reqest": server.url("/request"), "config": server.on("/groups", Serve(GROUPS))}
    line.write_text(" ".join(f"byoi.{k}={v}" for k, v in (words | {"status": server.url("/status")}).items()))
    assert agent.run("boot", "--command-line", str(line)).returncode == 2
    assert statuses(server)[-1]["message"] == "The kernel's command line is wrong."
    assert not server.seen("/groups")


def test_a_person_deploys_where_there_is_only_a_disk_group_file(
    agent: Agent, server: MisbehavingServer, tmp_path: Path
) -> None:
    line = tmp_path / "cmdline"
    line.write_text(f"byoi.config={server.on('/groups', Serve(GROUPS))} byoi.status={server.url('/status')}")
    result = agent.run("boot", "--command-line", str(line))
    assert result.returncode == 0
    assert (agent.run_directory / "disk-groups.toml").read_bytes() == GROUPS
    assert "nothing is deployed" in result.stderr
    assert not server.seen("/status")


def boot(agent: Agent, server: MisbehavingServer, folder: Path, *more: str) -> int:
    server.on("/status", Serve(status=200))
    return agent.run("boot", "--command-line", str(parameters(server, folder, *more))).returncode


def parameters(server: MisbehavingServer, folder: Path, *more: str) -> Path:
    path = folder / "cmdline"
    words = [f"byoi.{name}={server.url('/' + name)}" for name in ("request", "status")]
    path.write_text(" ".join(["quiet", *words, f"byoi.token={TOKEN}", *more]) + "\n")
    return path


def statuses(server: MisbehavingServer) -> list[dict[str, Any]]:
    return [json.loads(seen.body) for seen in server.seen("/status")]
