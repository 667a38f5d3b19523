"""The Ansible collection, run by ansible-playbook on this machine, with files as disks."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from distribution.single_file import build_single_file
from testbed.cache import Cache

from agent.version import VERSION
from tests.agent_process import SSH_KEY, digest, with_sum
from tests.ansible_run import AGENT, CHECKOUT, COLLECTION, Control, inventory_of, read_until
from tests.disk.conftest import serve
from tests.misbehaving_server import Held, MisbehavingServer
from tests.small_images import MIB, random_file

SECRETS = ("geheim-user", "geheim-query", "geheim-header", "geheim-data")
USER_DATA = f"#!/bin/sh\necho '{SECRETS[3]}' \\n\n"
LOCAL = {"ansible_connection": "local"}
TASK = "Deploy"
ROLE_TASK = "Deploy the image"


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(directory=tmp_path, environment={"BYOI_AGENT_UNPACK_DIR": str(tmp_path / "program")})


@pytest.fixture(scope="session")
def single_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_single_file(CHECKOUT, tmp_path_factory.mktemp("dist"), Cache())


@pytest.fixture
def held(qcow2_gpt: Path) -> Held:
    """The image, which does not come to its end before it is let go."""
    return Held(qcow2_gpt.read_bytes())


def play_of(arguments: Mapping[str, Any], **more: Any) -> list[Mapping[str, Any]]:
    """One play with one task, on all hosts."""
    task = {"name": TASK, "byoi.agent.byoi_deploy": {"agent": AGENT, **arguments}, **more}
    return [{"hosts": "all", "gather_facts": False, "tasks": [task]}]


def arguments_for(url: str, disk: Path, **more: Any) -> dict[str, Any]:
    options = {"disk": str(disk), "boot_type": "legacy", "fetch_retries": 0}
    return {"url": url, "type": "qcow2", "options": options, **more}


def sums(path: Path) -> dict[str, str]:
    return {"check_sum": digest(path), "check_sum_type": "sha256"}


def secretive(url: str, disk: Path, **more: Any) -> dict[str, Any]:
    """A request with a secret wherever there may be one."""
    return arguments_for(
        f"{url.replace('http://', f'http://u:{SECRETS[0]}@')}?token={SECRETS[1]}",
        disk,
        http_header=[{"key": "X-Token", "value": SECRETS[2]}],
        configdrive={
            "hostname": "{{ inventory_hostname }}",
            "ssh_key": SSH_KEY,
            "user_data": USER_DATA,
            "user_metadatas": "{{ {'role': 'web'} | dict2items }}",
        },
        **more,
    )


def test_it_deploys_and_tells_no_secret(
    control: Control, server: MisbehavingServer, qcow2_gpt: Path, disk: Path
) -> None:
    asked = secretive(serve(server, qcow2_gpt), disk, **sums(qcow2_gpt))
    played = control.play(play_of(asked, register="r"), inventory_of({"web1": LOCAL}), "-vvv", "--diff")
    assert played.code == 0, played.shown
    result = played.result("web1", TASK)
    assert (result["changed"], result["msg"]) == (True, f"The image is on {disk}.")
    assert (result["message"], result["exit_code"], result["disk_touched"]) == ("done", 0, True)
    assert result["status"]["status"] == "done"
    assert result["disk"]["path"] == str(disk)
    end = disk.read_bytes()[-3 * MIB :]
    assert USER_DATA.encode() in end
    assert b'"hostname": "web1"' in end
    assert SSH_KEY.encode() in end
    assert not [secret for secret in SECRETS if secret in played.shown]
    kept = [path for path in (control.directory / "run").rglob("*") if path.is_file()]
    assert not [path for path in kept for secret in SECRETS if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("mode", [[], ["--check"]], ids=["deploy", "check"])
def test_a_failure_has_the_documented_message_and_tells_no_secret(
    mode: list[str], control: Control, server: MisbehavingServer, qcow2_gpt: Path, disk: Path
) -> None:
    before, wrong = digest(disk), "ab" * 32
    asked = secretive(serve(server, qcow2_gpt), disk, check_sum=wrong, check_sum_type="sha256")
    played = control.play(play_of(asked), inventory_of({"web1": LOCAL}), "-vvv", "--diff", *mode)
    assert played.code == 2
    result = played.result("web1", TASK)
    got = digest(qcow2_gpt)
    assert result["msg"] == f"Bad sha256 for downloaded file, got : {got} while expecting {wrong}."
    assert (result["exit_code"], result["disk_touched"], result["changed"]) == (4, False, False)
    assert result["detail"]
    assert result["hint"]
    assert digest(disk) == before
    assert not [secret for secret in SECRETS if secret in played.shown]


def test_a_wrong_request_has_the_documented_message(control: Control, disk: Path) -> None:
    half = arguments_for("http://127.0.0.1:9/a", disk, check_sum="ab" * 32)
    strange = {**arguments_for("http://127.0.0.1:9/a", disk), "type": "vhd"}
    play = play_of(half, ignore_errors=True) + play_of(strange)
    play[1]["tasks"][0]["name"] = "Strange"
    played = control.play(play, inventory_of({"web1": LOCAL}))
    result = played.result("web1", TASK)
    assert result["msg"] == "Please provide checkSum AND checkSumType or none of them"
    assert result["exit_code"] == 2
    assert played.result("web1", "Strange")["msg"] == "Bad format image, expected : qcow2, raw."


def test_check_mode_makes_a_plan_and_writes_nothing(
    control: Control, server: MisbehavingServer, qcow2_gpt: Path, disk: Path
) -> None:
    before = digest(disk)
    asked = secretive(serve(server, qcow2_gpt), disk)
    played = control.play(play_of(asked), inventory_of({"web1": LOCAL}), "--check", "--diff", "-vvv")
    assert played.code == 0, played.shown
    result = played.result("web1", TASK)
    assert (result["changed"], result["disk_touched"]) == (True, False)
    assert result["plan"]["disk"]["path"] == str(disk)
    assert result["plan"]["image"]["fileSize"] == qcow2_gpt.stat().st_size
    assert digest(disk) == before
    assert not (control.directory / "run/status.json").exists()
    assert not [secret for secret in SECRETS if secret in played.shown]


def test_the_part_in_the_rescue_system_repeats_no_request(control: Control) -> None:
    arguments = {"action": "start", "purpose": "plan", "token": "t", "request": SECRETS[0], "agent": ["true"]}
    play = {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"name": TASK, "byoi.agent.byoi_agent_job": arguments}],
    }
    played = control.play([play], inventory_of({"web1": LOCAL}), "-vvv")
    assert played.code == 0, played.shown
    assert '"purpose": "plan"' in played.shown
    assert SECRETS[0] not in played.shown


def test_an_agent_that_is_not_there_is_named(control: Control, disk: Path) -> None:
    asked = {**arguments_for("http://127.0.0.1:9/a", disk), "agent": ["/nowhere/byoi-agent"]}
    result = control.play(play_of(asked), inventory_of({"web1": LOCAL})).result("web1", TASK)
    assert result["msg"] == "byoi-agent could not be started."
    assert "/nowhere/byoi-agent" in result["detail"]


def test_an_agent_that_dies_is_told_of(control: Control, disk: Path) -> None:
    words = ["/bin/sh", "-c", "echo strange words >&2; exit 9"]
    asked = {**arguments_for("http://127.0.0.1:9/a", disk), "agent": words}
    result = control.play(play_of(asked), inventory_of({"web1": LOCAL})).result("web1", TASK)
    assert result["msg"] == "byoi-agent ended without saying how."
    assert result["detail"] == "strange words"


def test_user_data_that_ansible_took_for_data_is_refused(control: Control, disk: Path) -> None:
    drive = {"user_data": {"ignition": {"secret": SECRETS[3]}}}
    asked = arguments_for("http://127.0.0.1:9/a", disk, configdrive=drive)
    played = control.play(play_of(asked), inventory_of({"web1": LOCAL}), "-vvv")
    assert "has to be text" in played.result("web1", TASK)["msg"]
    assert SECRETS[3] not in played.shown


def status(control: Control) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = json.loads((control.directory / "run/status.json").read_text())
    except FileNotFoundError:
        return None
    return found


def is_downloading(control: Control) -> bool:
    found = status(control)
    return found is not None and found["step"] == "fetch"


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes] | None" = None) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process is None or process.poll() is None, "ansible-playbook has ended"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def kill(process: "subprocess.Popen[bytes]") -> None:
    """As when the machine is lost that ansible-playbook runs on."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_a_deployment_outlives_ansible_and_is_found_again(
    control: Control, server: MisbehavingServer, held: Held, qcow2_gpt: Path, disk: Path
) -> None:
    url = server.on("/image", held)
    asked = arguments_for(url, disk, **sums(qcow2_gpt))
    hosts = inventory_of({"web1": LOCAL})
    process = control.start(play_of(asked), hosts)
    wait_until(lambda: is_downloading(control), process)
    kill(process)
    began = status(control)
    assert began is not None
    assert began["status"] == "doing"

    other = control.play(play_of({**asked, "description": "another one"}), hosts)
    assert other.result("web1", TASK)["msg"] == "Another deployment is running on this server."

    would = control.play(play_of(asked), hosts, "--check")
    assert would.result("web1", TASK)["changed"] is False

    process = control.start(play_of(asked), hosts)
    shown = read_until(process, "being carried out here already")
    held.go.set()
    again = control.end(process, shown)
    assert again.code == 0, again.shown
    result = again.result("web1", TASK)
    assert (result["changed"], result["status"]["startedAt"]) == (True, began["startedAt"])

    after = control.play(play_of(asked), hosts)
    result = after.result("web1", TASK)
    assert (result["changed"], result["message"], result["exit_code"]) == (False, "done", 0)
    forced = control.play(play_of({**asked, "force": True}), hosts)
    assert forced.result("web1", TASK)["changed"] is True


def test_without_a_sum_it_is_deployed_again(
    control: Control, server: MisbehavingServer, qcow2_gpt: Path, disk: Path
) -> None:
    asked = arguments_for(serve(server, qcow2_gpt), disk)
    for _ in range(2):
        played = control.play(play_of(asked), inventory_of({"web1": LOCAL}))
        assert played.result("web1", TASK)["changed"] is True


def test_a_deployment_that_a_person_started_is_left_alone(
    control: Control, server: MisbehavingServer, held: Held, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    url = server.on("/image", held)
    environment = {**os.environ, "BYOI_AGENT_RUN_DIR": str(tmp_path / "run"), "PYTHONPATH": str(CHECKOUT)}
    words = [*AGENT, "deploy", "--url", url, "--type", "qcow2", "--disk", str(disk), "--yes"]
    with subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL) as person:
        wait_until(lambda: is_downloading(control))
        played = control.play(play_of(arguments_for(url, disk)), inventory_of({"web1": LOCAL}))
        person.terminate()
    result = played.result("web1", TASK)
    assert (result["msg"], result["exit_code"]) == ("Another deployment is running on this server.", 3)


@pytest.fixture
def unsteady(tmp_path: Path) -> Control:
    return Control(directory=tmp_path, environment={"UNSTEADY": str(tmp_path / "lost")})


def test_a_lost_connection_is_made_again(
    unsteady: Control, server: MisbehavingServer, held: Held, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    url = server.on("/image", held)
    asked = arguments_for(url, disk, **sums(qcow2_gpt))
    process = unsteady.start(play_of(asked), inventory_of({"web1": {"ansible_connection": "unsteady"}}))
    wait_until(lambda: is_downloading(unsteady), process)
    (tmp_path / "lost").touch()
    wait_until((tmp_path / "lost.seen").exists, process)
    (tmp_path / "lost").unlink()
    shown = read_until(process, "The connection is back.")
    held.go.set()
    played = unsteady.end(process, shown)
    assert played.code == 0, shown
    assert "The connection is lost; the deployment goes on." in shown
    assert played.result("web1", TASK)["changed"] is True


def test_a_server_out_of_reach_is_unreachable_and_deploys_on(
    unsteady: Control, server: MisbehavingServer, held: Held, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    url = server.on("/image", held)
    asked = arguments_for(url, disk, **sums(qcow2_gpt), reconnect_timeout=1)
    hosts = inventory_of({"web1": {"ansible_connection": "unsteady"}})
    process = unsteady.start(play_of(asked), hosts)
    wait_until(lambda: is_downloading(unsteady), process)
    (tmp_path / "lost").touch()
    shown = process.communicate()[0].decode()
    assert process.returncode == 4, shown
    assert "run the playbook again to find out how it ends" in shown
    (tmp_path / "lost").unlink()
    held.go.set()
    assert unsteady.play(play_of(asked), hosts).result("web1", TASK)["message"] == "done"


# The role.


def role_play(**variables: Any) -> list[Mapping[str, Any]]:
    play = {"hosts": "all", "gather_facts": False, "roles": ["byoi.agent.byoi_deploy"], "vars": variables}
    return [play]


def role_variables(url: str, disk: Path, single_file: Path, tmp_path: Path) -> dict[str, Any]:
    return {
        "byoi_url": url,
        "byoi_type": "qcow2",
        "byoi_ssh_key": SSH_KEY,
        "byoi_user_data": USER_DATA,
        "byoi_options": {"disk": str(disk), "boot_type": "legacy"},
        "byoi_single_file": str(single_file),
        "byoi_single_file_dest": str(tmp_path / "shipped.pyz"),
        "byoi_python": "/usr/bin/python3",
        "byoi_rescue_check": "test -d /",
        "byoi_reboot": False,
    }


def test_the_role_leaves_an_installed_system_alone(control: Control, disk: Path, tmp_path: Path) -> None:
    variables = role_variables("http://127.0.0.1:9/a", disk, tmp_path / "none", tmp_path)
    asked = {**variables, "byoi_rescue_check": ""}
    played = control.play(role_play(**asked), inventory_of({"web1": LOCAL}))
    assert played.code == 0, played.shown
    assert "web1 is not in its rescue system: its root file system is" in played.shown
    assert "Copy the single file" not in played.tasks("web1")
    for more in ({"byoi_require_rescue": True}, {"byoi_rescue_check": "false", "byoi_require_rescue": True}):
        played = control.play(role_play(**{**asked, **more}), inventory_of({"web1": LOCAL}))
        assert played.code == 2
        assert "Copy the single file" not in played.tasks("web1")


def test_the_role_ships_the_single_file_and_deploys(
    control: Control,
    server: MisbehavingServer,
    qcow2_gpt: Path,
    disk: Path,
    single_file: Path,
    tmp_path: Path,
) -> None:
    variables = role_variables(serve(server, qcow2_gpt), disk, single_file, tmp_path)
    before = digest(disk)
    hosts = inventory_of({"web1": {**LOCAL, "byoi_metadata": {"role": "web"}}})
    planned = control.play(role_play(**variables), hosts, "--check")
    assert planned.code == 0, planned.shown
    assert planned.result("web1", ROLE_TASK)["plan"]["disk"]["path"] == str(disk)
    assert digest(disk) == before
    played = control.play(role_play(**variables), hosts, "-vvv")
    assert played.code == 0, played.shown
    result = played.result("web1", ROLE_TASK)
    assert (result["changed"], result["status"]["servername"]) == (True, "web1")
    assert played.ended("web1", "Look again") == "skipped"
    assert USER_DATA.encode() in disk.read_bytes()[-3 * MIB :]
    assert SECRETS[3] not in played.shown


def test_the_role_names_what_is_missing(
    control: Control, single_file: Path, tmp_path: Path, disk: Path
) -> None:
    variables = role_variables("http://127.0.0.1:9/a", disk, single_file, tmp_path)
    nothing = control.play(role_play(**{**variables, "byoi_single_file": ""}), inventory_of({"web1": LOCAL}))
    assert (
        "byoi_single_file names no file" in nothing.result("web1", "Refuse to go on without the agent")["msg"]
    )
    # As one that lacks qemu-img, and gets it by the line that it prints.
    asked = {**variables, "byoi_single_file": str(doctor(tmp_path)), "byoi_python": "/bin/sh"}
    missing = control.play(role_play(**asked), inventory_of({"web1": LOCAL}))
    said = missing.result("web1", "Refuse a rescue system that can not deploy")["msg"]
    assert "Missing: qemu-img." in said
    assert f"touch {tmp_path}/installed" in said
    played = control.play(role_play(**asked, byoi_install_missing=True), inventory_of({"web1": LOCAL}))
    assert played.ended("web1", "Install what is missing") == "ok"
    assert ROLE_TASK in played.tasks("web1")


def doctor(tmp_path: Path) -> Path:
    """A script that says what byoi-agent's doctor says where something is missing until it is installed."""
    install = f"touch {tmp_path}/installed"
    check = {"name": "qemu-img", "result": "missing", "found": "not installed", "whatToDo": None}
    missing = {"ready": False, "checks": [check], "installCommand": install}
    ready = {"ready": True, "checks": [], "installCommand": None}
    script = tmp_path / "doctor"
    script.write_text(
        f"test -e {tmp_path}/installed && echo '{json.dumps(ready)}' && exit\n"
        f"echo '{json.dumps(missing)}'; exit 3\n"
    )
    return script


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_of_a_fleet_one_fails_and_the_others_are_deployed(
    strategy: str,
    control: Control,
    server: MisbehavingServer,
    qcow2_gpt: Path,
    single_file: Path,
    tmp_path: Path,
) -> None:
    url, hosts = serve(server, qcow2_gpt), ("web1", "web2", "web3")
    variables = {
        **role_variables(url, tmp_path, single_file, tmp_path),
        "byoi_options": {"disk": "{{ disk }}", "boot_type": "legacy"},
        "byoi_check_sum_type": "sha256",
    }
    disks = {host: random_file(tmp_path / f"{host}.disk", 160 * MIB) for host in hosts}
    untouched = digest(disks["web2"])
    of_each = {
        host: {
            **LOCAL,
            "disk": str(disks[host]),
            "byoi_single_file_dest": str(tmp_path / f"{host}.pyz"),
            "byoi_check_sum": "ab" * 32 if host == "web2" else with_sum(qcow2_gpt)["checkSum"],
        }
        for host in hosts
    }
    # Hosts on one machine: each has a run directory of its own.
    play = {
        **role_play(**variables)[0],
        "environment": {"BYOI_AGENT_RUN_DIR": str(tmp_path / "run-{{ inventory_hostname }}")},
        "max_fail_percentage": 50,
        "strategy": strategy,
    }
    del play["vars"]["byoi_single_file_dest"]
    played = control.play([play], inventory_of(of_each))
    assert played.code == 2
    assert [played.ended(host, ROLE_TASK) for host in hosts] == ["ok", "failed", "ok"]
    assert played.result("web2", ROLE_TASK)["msg"].startswith("Bad sha256 for downloaded file, got : ")
    assert digest(disks["web2"]) == untouched
    for host in ("web1", "web3"):
        assert f'"hostname": "{host}"'.encode() in disks[host].read_bytes()[-3 * MIB :]


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(control: Control, tmp_path: Path) -> None:
    """As one does that goes down without closing its connections. What ssh does then: see ssh_config(5)."""
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\ncase $* in *ServerAliveInterval=*) exit 255;; esac\nexec sleep 600\n")
    ssh.chmod(0o755)
    host = {"ansible_host": "192.0.2.1", "ansible_ssh_executable": str(ssh)}
    arguments = {"state": "stopped", "boot_id": "0" * 36, "timeout": 20}
    task = {"name": TASK, "byoi.agent.byoi_wait_for_system": arguments}
    process = control.start(
        [{"hosts": "all", "gather_facts": False, "tasks": [task]}], inventory_of({"web1": host})
    )
    assert control.end(process, timeout=60).code == 0


def test_it_can_be_built_installed_and_looked_up(control: Control, tmp_path: Path) -> None:
    control.run("ansible-galaxy", "collection", "build", COLLECTION, "--output-path", tmp_path)
    built = tmp_path / f"byoi-agent-{VERSION}.tar.gz"
    assert built.exists(), "the collection's version is not that of the agent"
    installed = Control(directory=tmp_path, collections=tmp_path / "collections")
    installed.run("ansible-galaxy", "collection", "install", built, "-p", installed.collections, "--offline")
    assert not list(installed.collections.rglob("*.pyc"))
    for kind, name, words in (
        ("module", "byoi_deploy", ("check_sum_type", "userMetadatas", "disk_touched", "EXAMPLES")),
        ("module", "byoi_agent_job", ("token",)),
        ("module", "byoi_wait_for_system", ("boot_id", "hostname")),
        ("filter", "rescue", ("/proc/mounts",)),
        ("role", "byoi_deploy", ("byoi_require_rescue", "byoi_install_missing")),
    ):
        page = installed.run("ansible-doc", "-t", kind, f"byoi.agent.{name}")
        assert not [word for word in words if word not in page], name
    snippet = json.loads(installed.run("ansible-doc", "-j", "byoi.agent.byoi_deploy"))
    documented = snippet["byoi.agent.byoi_deploy"]["doc"]["options"]
    assert_documented(documented)


def test_the_examples_are_right(tmp_path: Path) -> None:
    examples = CHECKOUT / "ansible/examples"
    control = Control(directory=tmp_path, environment={"ANSIBLE_CONFIG": str(examples / "ansible.cfg")})
    hosts = ("-i", examples / "inventory.yml")
    inventory = json.loads(control.run("ansible-inventory", *hosts, "--list"))
    used = {name for host in inventory["_meta"]["hostvars"].values() for name in host if "byoi_" in name}
    specified = (COLLECTION / "roles/byoi_deploy/meta/argument_specs.yml").read_text()
    assert used
    assert not [name for name in used if f"      {name}:" not in specified]
    control.run("ansible-playbook", *hosts, "--syntax-check", examples / "deploy.yml")


def assert_documented(documented: Mapping[str, Any]) -> None:
    """Compare the documentation with the arguments that there are."""
    from ansible_collections.byoi.agent.plugins.plugin_utils.request import ARGUMENTS

    def compare(options: Mapping[str, Any], arguments: Mapping[str, Any], place: str) -> None:
        assert options.keys() == arguments.keys(), place
        for name, argument in arguments.items():
            found = options[name]
            for fact in ("type", "elements", "required", "default"):
                assert (found.get(fact) or None) == (argument.get(fact) or None), f"{place}.{name}: {fact}"
            compare(found.get("suboptions") or {}, argument.get("options") or {}, f"{place}.{name}")

    compare(documented, ARGUMENTS, "byoi_deploy")
