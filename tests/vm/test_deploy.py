"""A cloud image deployed by the agent in the rescue system, and booted on its own, in both firmware modes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from testbed.deployment import USER_DATA_MARK, AgentRun, deploy, request_for, used_disk, wait_for_cloud_init
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.keys import KeyPair
from testbed.rescue import RescueSystem
from testbed.server_config import BOOT_MODES, Disk, Firmware, ServerConfig
from testbed.ssh import SshConnection
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

BOOT_SECONDS = 300.0
DISK_BYTES = 8 << 30
METADATA = {"role": "web", "rack": "r42"}


@dataclass
class Deployed:
    """A server that runs from the disk that the agent wrote."""

    firmware: Firmware
    agent: AgentRun
    server: VirtualServer
    guest: SshConnection
    cloud_init_errors: list[str]


@pytest.fixture(scope="module", params=BOOT_MODES, ids=str)
def deployed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    rescue: RescueSystem,
    cloud_image: ImageFile,
    image_server: FileServer,
    user_key: KeyPair,
) -> Iterator[Deployed]:
    firmware: Firmware = request.param
    directory = tmp_path_factory.mktemp(f"server-{firmware}")
    disk = used_disk(directory / "disk.raw", DISK_BYTES)
    variables = directory / "variables.fd"
    in_rescue = ServerConfig(
        name=f"{firmware}-rescue",
        firmware=firmware,
        cpus=2,  # several threads write where there are several processors
        disks=(Disk(path=disk, serial="DEPLOY01"),),
        kernel_boot=rescue.boot(),
        firmware_variables=variables,
    )
    with VirtualServer(in_rescue) as server:
        shell = server.wait_for_ssh(rescue.key, timeout=BOOT_SECONDS)
        wanted = request_for(
            cloud_image,
            image_server.url(cloud_image.path.name),
            hostname=f"web-{firmware}",
            ssh_key=user_key.public,
            metadata=METADATA,
        )
        agent = deploy(shell, wanted)
        assert agent.exit_code == 0, f"{agent.events[-3:]}\n{agent.stderr}"
        server.power_off(timeout=BOOT_SECONDS)
    from_disk = ServerConfig(
        name=f"{firmware}-disk", firmware=firmware, disks=in_rescue.disks, firmware_variables=variables
    )
    with VirtualServer(from_disk) as server:
        guest = server.wait_for_ssh(user_key, user="debian", timeout=BOOT_SECONDS)
        errors = wait_for_cloud_init(guest, timeout=BOOT_SECONDS)
        yield Deployed(firmware, agent, server, guest, errors)
    _discard(disk)


def _discard(disk: Path) -> None:
    disk.unlink()


def test_the_agent_says_done_last(deployed: Deployed) -> None:
    last = deployed.agent.last
    assert (last["event"], last["status"], last["message"]) == ("done", "done", last["message"])
    assert last["diskTouched"] is True


def test_every_step_started_also_finished(deployed: Deployed) -> None:
    started = [event["step"] for event in deployed.agent.named("step_started")]
    finished = [event["step"] for event in deployed.agent.named("step_finished")]
    assert started == finished
    assert len(started) == len(set(started))


def test_the_server_booted_with_the_firmware_it_was_deployed_under(deployed: Deployed) -> None:
    efi = deployed.guest.run("test", "-d", "/sys/firmware/efi", expect=(0, 1)).exit_code == 0
    assert efi == (deployed.firmware is Firmware.UEFI)


def test_the_hostname_is_the_one_asked_for(deployed: Deployed) -> None:
    assert deployed.guest.output("hostname") == f"web-{deployed.firmware}"


def test_the_user_data_ran_once(deployed: Deployed) -> None:
    assert len(deployed.guest.output("cat", USER_DATA_MARK).splitlines()) == 1


def test_the_metadata_reached_the_guest(deployed: Deployed) -> None:
    instance = json.loads(deployed.guest.output("cat", "/run/cloud-init/instance-data.json"))
    assert instance["ds"]["meta_data"]["meta"] == METADATA
    assert instance["v1"]["platform"] == "openstack" or "config" in instance["v1"]["subplatform"]


def test_the_root_file_system_grew_to_the_disk(deployed: Deployed) -> None:
    size = int(deployed.guest.output("findmnt", "--noheadings", "--bytes", "--output", "SIZE", "/"))
    assert size > 0.9 * DISK_BYTES


def test_the_config_drive_still_is_the_last_partition(deployed: Deployed) -> None:
    listing = json.loads(
        deployed.guest.output("lsblk", "--json", "--bytes", "--output", "NAME,LABEL,START,SIZE", "/dev/vda")
    )
    partitions = sorted(listing["blockdevices"][0]["children"], key=lambda part: int(part["start"]))
    assert partitions[-1]["label"] == "config-2"
    end = int(partitions[-1]["start"]) * 512 + int(partitions[-1]["size"])
    assert DISK_BYTES - (2 << 20) <= end <= DISK_BYTES - 33 * 512


def test_cloud_init_noted_no_errors(deployed: Deployed) -> None:
    assert deployed.cloud_init_errors == []
    assert "status: done" in deployed.guest.output("cloud-init", "status")


def test_no_unit_failed(deployed: Deployed) -> None:
    assert deployed.guest.output("systemctl", "--failed", "--plain", "--no-legend") == ""


# Last: it restarts the server that the tests above look at.
def test_another_boot_does_not_run_the_user_data_again(deployed: Deployed, user_key: KeyPair) -> None:
    if deployed.firmware is not Firmware.UEFI:
        pytest.skip("cloud-init does not know the firmware: once is enough")
    first_boot = deployed.guest.output("cat", "/proc/sys/kernel/random/boot_id")
    seen = deployed.server.qmp.event_count("RESET")
    deployed.guest.run("sudo", "systemctl", "reboot", expect=None)
    deployed.server.wait_for_reset(timeout=BOOT_SECONDS, already_seen=seen)
    deployed.server.close_connections()
    guest = deployed.server.wait_for_ssh(user_key, user="debian", timeout=BOOT_SECONDS)
    assert wait_for_cloud_init(guest, timeout=BOOT_SECONDS) == []
    assert guest.output("cat", "/proc/sys/kernel/random/boot_id") != first_boot
    assert len(guest.output("cat", USER_DATA_MARK).splitlines()) == 1
