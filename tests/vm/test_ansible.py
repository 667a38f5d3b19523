"""ansible-playbook deploys a fleet in one run: each server gets its own, and a failure stops no other."""

import contextlib
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from testbed.deployment import used_disk
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.keys import KeyPair, generate
from testbed.rescue import COMMAND_LINE, RescueSystem
from testbed.rescue_iso import build_iso
from testbed.server_config import Disk, ServerConfig
from testbed.vm import VirtualServer

from tests.ansible_run import Control, Play, read_until

pytestmark = pytest.mark.vm

SECONDS = 400.0
MIB = 1 << 20
DISK_BYTES = 4 << 30
HOSTS = ("web1", "web2", "web3")
BAD = "web2"
WRONG_SUM = "ab" * 32

Servers = dict[str, VirtualServer]


@pytest.fixture
def fleet(rescue: RescueSystem, tmp_path: Path) -> Iterator[Servers]:
    """Servers with empty disks, which have started the rescue system from a medium."""
    iso = tmp_path / "rescue.iso"
    build_iso(rescue.files, COMMAND_LINE, iso)
    with ExitStack() as stack:
        servers = {}
        for name in HOSTS:
            disk = Disk(path=used_disk(tmp_path / f"{name}.disk", DISK_BYTES), serial=name)
            config = ServerConfig(name=name, cpus=1, memory_mib=1536, disks=(disk,), medium=iso)
            servers[name] = stack.enter_context(VirtualServer(config))
        for server in servers.values():
            server.wait_for_ssh(rescue.key, timeout=SECONDS)
            server.close_connections()
        yield servers


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A directory with a short path, as sockets need it, for ssh's connections."""
    with tempfile.TemporaryDirectory(prefix="ssh-", dir="/tmp") as name:
        yield Path(name)


def written(disk: Path) -> tuple[int, bytes, bytes]:
    """What a deployment would change: how much of the file is there, and both ends."""
    with disk.open("rb") as stream:
        first = stream.read(MIB)
        stream.seek(-MIB, os.SEEK_END)
        return disk.stat().st_blocks, first, stream.read()


def playbook(image: ImageFile, url: str, user_key: KeyPair, before_reboot: Path) -> list[Play]:
    role = {"role": "byoi.agent.byoi_deploy"}
    told = [{"name": "Tell the provider", "ansible.builtin.debug": {"msg": "Start from the disk."}}]
    before_reboot.write_text(json.dumps(told))
    variables = {
        "byoi_url": url,
        "byoi_type": image.type,
        "byoi_check_sum_type": "sha256",
        "byoi_ssh_key": user_key.public,
        "byoi_new_private_key_file": str(user_key.private),
        "byoi_before_reboot": str(before_reboot),
    }
    deploy = {"hosts": "all", "gather_facts": False, "roles": [role], "vars": variables}
    # A second play works on the new systems: by then Ansible has to know who logs in there, and how.
    task = {"name": "Ask the new system", "ansible.builtin.command": "hostname"}
    return [deploy, {"hosts": "all", "gather_facts": False, "tasks": [task]}]


def cut_connections(sockets: Path) -> None:
    """Kill ssh's masters, as when the network between here and the servers fails."""
    for socket in list(sockets.iterdir()):
        command = ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "check", "any"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if master := re.search(r"pid=(\d+)", answer.stderr):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(master[1]), signal.SIGKILL)


@contextmanager
def cutting(sockets: Path) -> Iterator[None]:
    """Cut the connections again and again: between two commands nobody would notice."""
    ended = threading.Event()

    def cut() -> None:
        while not ended.wait(2.0):
            cut_connections(sockets)

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def host_keys(key: KeyPair) -> dict[str, object]:
    """Variables of a host that gets a host key that was made for it."""
    keys = {"ed25519_private": key.private.read_text(), "ed25519_public": key.public}
    user_data = "#cloud-config\n" + json.dumps({"ssh_keys": keys})
    return {"byoi_user_data": user_data, "byoi_host_keys": [key.public]}


def test_three_servers_in_one_run_of_which_one_fails(
    fleet: Servers,
    rescue: RescueSystem,
    cloud_image: ImageFile,
    image_server: FileServer,
    user_key: KeyPair,
    tmp_path: Path,
    sockets: Path,
) -> None:
    known_hosts = tmp_path / "known_hosts"
    ssh = f"-F none -o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=accept-new"
    host_key = generate(tmp_path, "host_key", comment="web3")
    # One server's keys are known beforehand, those of the other are taken when they are first seen.
    of_each: dict[str, dict[str, object]] = {
        "web1": {"byoi_forget_host_key": True},
        "web2": {},
        "web3": host_keys(host_key),
    }
    hosts = {
        name: {
            "ansible_host": "127.0.0.1",
            "ansible_port": server.ssh_port(),
            "byoi_check_sum": WRONG_SUM if name == BAD else cloud_image.sha256,
            **of_each[name],
        }
        for name, server in fleet.items()
    }
    of_all = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(rescue.key.private),
        "ansible_ssh_common_args": ssh,
        "byoi_known_hosts": str(known_hosts),
    }
    inventory = {"all": {"hosts": hosts, "vars": of_all}}
    disk = fleet[BAD].config.disks[0].path
    untouched = written(disk)
    control = Control(directory=tmp_path, environment={"ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets)})
    url = image_server.url(cloud_image.path.name)
    plays = playbook(cloud_image, url, user_key, tmp_path / "before_reboot.json")
    process = control.start(plays, inventory, "-vvv")
    shown = read_until(process, "Downloading the image", timeout=SECONDS * 2)
    with cutting(sockets):
        lost = "The connection is lost; the deployment goes on."
        shown += read_until(process, lost, timeout=SECONDS * 2)
    played = control.end(process, shown, timeout=SECONDS * 2)
    assert played.code == 2, played.shown
    assert "The connection is back." in played.shown

    failed = played.result(BAD, "Deploy the image")
    got = f"got : {cloud_image.sha256} while expecting {WRONG_SUM}."
    assert failed["msg"] == f"Bad sha256 for downloaded file, {got}"
    assert (failed["disk_touched"], failed["exit_code"]) == (False, 4)
    assert written(disk) == untouched
    fleet[BAD].wait_for_ssh(rescue.key, timeout=SECONDS)

    for name in sorted(set(HOSTS) - {BAD}):
        deployed = played.result(name, "Deploy the image")
        assert (deployed["changed"], deployed["message"]) == (True, "done"), json.dumps(deployed)
        assert played.result(name, "Wait for the new system")["hostname"] == name
        assert played.result(name, "Ask the new system")["stdout"] == name
        assert "Tell the provider" in played.tasks(name)
    assert "Tell the provider" not in played.tasks(BAD)
    known = [line.split() for line in known_hosts.read_text().splitlines()]
    port = fleet["web3"].ssh_port()
    assert [words[1:3] for words in known if words[0] == f"[127.0.0.1]:{port}"] == [
        host_key.public.split()[:2]
    ]
    secret = host_key.private.read_text().splitlines()[2]
    assert secret not in played.shown
