import dataclasses
import json
from pathlib import Path

import pytest

from agent.boot import hand_over_needs
from agent.deployment.plan import DeploymentPlan, make_plan
from agent.deployment.plan_view import image_lines, plan_json, target_lines
from agent.errors import Refused
from agent.firmware import Firmware
from agent.images.boot_fit import BootFit
from agent.images.errors import NotBootable
from agent.request.model import Request
from partitioning.release import ReleaseAction
from tests.misbehaving_server import MisbehavingServer, Serve
from tests.table_samples import Part, gpt_disk
from tests.unit.test_cli_common import CommandLine, command
from tests.unit.test_images_common import FILE_SUM, MIB, file_of, image_of, plan_with, target_for, tiny_image
from tests.unit.test_request_common import SECRET, request

__all__ = ["command"]

DRIVE = {"enable": True, "hostname": "web", "userData": SECRET}


def secretive(**more: object) -> Request:
    """A request with a secret wherever one can be."""
    return request(
        URL=f"https://u:{SECRET}@h.example/image?{SECRET}",
        httpHeader=[{"key": "A", "value": SECRET}],
        configdrive=DRIVE,
        options={"proxy": f"http://u:{SECRET}@p"} | more,
    )


def lines_of(plan: DeploymentPlan, **wanted: object) -> dict[str, str]:
    """The lines about the image, by what they are about."""
    lines = image_lines(request(**wanted), plan)
    return {name: text.strip() for name, _, text in (line.partition(":") for line in lines)}


def test_what_comes_afterwards_in_words(tmp_path: Path) -> None:
    plan = plan_with(tmp_path)
    assert "Then" not in lines_of(plan)
    assert lines_of(plan, options={"reboot": True})["Then"] == "the server reboots"
    assert lines_of(plan, options={"verify": True})["Then"] == (
        "all of the image is read back from the disk and compared"
    )


def test_the_disk_in_words(tmp_path: Path) -> None:
    target = target_for(file_of(tmp_path / "disk", 8 * MIB))
    lines = "\n".join(target_lines(request(description="Debian 12"), target))
    assert f"{tmp_path}/disk: 8.39 MB file" in lines
    assert "8388608 bytes, sectors of 512 bytes" in lines
    assert "Image:     raw from http://images.example/debian.raw" in lines
    assert "Debian 12" in lines
    assert "any (the target is not a disk of this server)" in lines
    assert f"Erase:     the whole disk {tmp_path}/disk: all that is on it is lost;" in lines
    assert "Release:" not in lines


def test_nothing_in_a_plan_moves_the_cursor(tmp_path: Path) -> None:
    target = target_for(file_of(tmp_path / "disk", 8 * MIB))
    lines = target_lines(request(description="a\x1b[2K\nAll data on this disk will be lost."), target)
    assert all(line.isprintable() for line in lines)


def test_what_is_stopped_and_erased_in_words(tmp_path: Path) -> None:
    plain = target_for(file_of(tmp_path / "disk", 8 * MIB))
    release = dataclasses.replace(plain.release, actions=(ReleaseAction(line="mdadm --stop /dev/md127"),))
    target = dataclasses.replace(plain, release=release, group_id=2, firmware=Firmware.UEFI)
    lines = "\n".join(target_lines(request(options={"erase": "full"}), target))
    assert "file, group 2\n" in lines
    assert "Firmware:  UEFI\n" in lines
    assert "Release:   mdadm --stop /dev/md127\n" in lines
    assert lines.endswith("every byte of it")


def test_the_image_in_words(tmp_path: Path) -> None:
    lines = lines_of(plan_with(tmp_path))
    assert lines["Write"] == "2.0 MiB (2097152 bytes), MBR with partition 1"
    assert lines["Boots on"] == "legacy (UEFI: the image has no EFI system partition.)"
    assert lines["Config"] == "no ConfigDrive"
    assert "Table" not in lines


def test_the_sum_in_words(tmp_path: Path) -> None:
    plan = plan_with(tmp_path)
    value = FILE_SUM.value
    assert lines_of(plan)["Sum"] == f"none was given to check; the file has sha256 {value}"
    asked = dataclasses.replace(plan, file_sum=dataclasses.replace(FILE_SUM, asked_for=True))
    assert lines_of(asked)["Sum"] == f"sha256 {value}, as asked for"


def test_a_config_drive_in_words(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, configdrive=DRIVE)
    drive = plan.config_drive
    assert drive is not None
    where = f"partition 2 at byte {drive.placement.start}, {drive.placement.size} bytes"
    assert lines_of(plan)["Config"] == f"a ConfigDrive ({drive.image.kind}) becomes {where}"
    used = dataclasses.replace(drive, reuses=plan.contents.table.partitions[0])
    again = lines_of(dataclasses.replace(plan, config_drive=used))["Config"]
    assert again == f"the image's own ConfigDrive, {where}, is filled anew"


def test_a_gpt_and_warnings_in_words(tmp_path: Path) -> None:
    data = gpt_disk(4096, [Part(100, 3999)], boot_code=b"code")
    target = target_for(file_of(tmp_path / "disk", 8 * MIB))
    plan = make_plan(request(), target, FILE_SUM, image_of(data))
    lines = lines_of(dataclasses.replace(plan, warnings=("Careful.",)))
    assert lines["Table"] == "the backup GPT is moved to the end of the disk"
    assert lines["Warning"] == "Careful."


ONLY_LEGACY = (
    "Only legacy firmware will start this disk. UEFI: the image has no EFI system partition. If it is for"
    " UEFI, say so (options.bootType): what is missing is added."
)


def test_the_plan_as_json(tmp_path: Path) -> None:
    wanted = secretive()
    plan = plan_with(tmp_path, configdrive=DRIVE)
    shown = json.loads(json.dumps(plan_json(wanted, plan)))
    drive = plan.config_drive
    assert drive is not None
    assert shown == {
        "disk": {
            "path": f"{tmp_path}/disk",
            "model": None,
            "serial": None,
            "size": 8 * MIB,
            "sectorSize": 512,
            "diskGroupId": None,
        },
        "firmware": None,
        "secureBoot": None,
        "oldContents": [],
        "release": [],
        "erase": "quick",
        "complete": True,
        "image": {
            "url": "https://h.example/image",
            "type": "raw",
            "fileSize": 2 * MIB,
            "heldInMemory": 2 * MIB,
            "checkSumType": "sha256",
            "checkSum": "ab" * 32,
            "checkSumChecked": False,
            "virtualSize": 2 * MIB,
            "partitionTable": "mbr",
            "sectorSize": 512,
            "partitions": 1,
            "bootsOn": ["legacy"],
        },
        "fileSystems": [],
        "loader": None,
        "bootEntry": None,
        "rivalsErased": [],
        "configdrive": {
            "fileSystem": drive.image.kind,
            "start": drive.placement.start,
            "size": drive.placement.size,
            "partition": 2,
            "reused": False,
        },
        "verify": False,
        "reboot": False,
        "warnings": [
            "The user data begins like no script or cloud-config (#!, #cloud-config): it may do nothing.",
            ONLY_LEGACY,
        ],
    }


def test_a_plan_without_a_drive_as_json(tmp_path: Path) -> None:
    assert plan_json(request(), plan_with(tmp_path))["configdrive"] is None


def test_no_secret_is_shown(tmp_path: Path) -> None:
    wanted = secretive()
    plan = make_plan(
        wanted, target_for(file_of(tmp_path / "disk", 8 * MIB)), FILE_SUM, image_of(tiny_image())
    )
    shown = [
        *target_lines(wanted, plan.target),
        *image_lines(wanted, plan),
        json.dumps(plan_json(wanted, plan)),
    ]
    assert SECRET not in "\n".join(shown) + repr(plan)


def test_no_room_for_the_drive(tmp_path: Path) -> None:
    target = target_for(file_of(tmp_path / "disk", 2 * MIB))
    with pytest.raises(Refused) as caught:
        make_plan(secretive(), target, FILE_SUM, image_of(tiny_image()))
    assert caught.value.message == "Could not create configdrive on disk."
    assert SECRET not in caught.value.detail


def test_an_image_that_this_firmware_can_not_start(tmp_path: Path) -> None:
    image = image_of(tiny_image(boot_code=b""))
    target = target_for(file_of(tmp_path / "disk", 8 * MIB))
    with pytest.raises(NotBootable):
        make_plan(request(), dataclasses.replace(target, firmware=Firmware.LEGACY), FILE_SUM, image)


def test_without_the_tool_that_would_tell_nothing_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_over_needs, "available", lambda tool: tool != "qemu-storage-daemon")
    monkeypatch.setenv("BYOI_AGENT_LOADERS", str(tmp_path))
    target = target_for(file_of(tmp_path / "disk", 8 * MIB))
    with pytest.raises(Refused, match="What is needed to add a loader to the image is missing") as caught:
        make_plan(
            request(), dataclasses.replace(target, firmware=Firmware.UEFI), FILE_SUM, image_of(tiny_image())
        )
    # All that is missing at once.
    assert "--no-install-recommends grub-efi-amd64-signed qemu-system-common shim-signed" in caught.value.hint


def test_both_firmwares_in_words(tmp_path: Path) -> None:
    plan = plan_with(tmp_path)
    both = dataclasses.replace(plan.contents, boot=BootFit(legacy=None, uefi=None))
    assert lines_of(dataclasses.replace(plan, contents=both))["Boots on"] == "legacy and uefi"


def test_the_command(command: CommandLine, tmp_path: Path) -> None:
    disk = file_of(tmp_path / "disk", 8 * MIB)
    with MisbehavingServer() as server:
        words = [
            "plan",
            "--url",
            server.on("/image", Serve(tiny_image())),
            "--type",
            "raw",
            "--disk",
            str(disk),
        ]
        for_people, for_programs = command(*words), command(*words, "--json")
    assert (for_people.code, for_programs.code) == (0, 0)
    assert "Write:     2.0 MiB" in for_people.out
    assert json.loads(for_programs.out)["image"]["virtualSize"] == 2 * MIB
    assert "Downloading the image ..." in for_programs.err
    assert list(command.where.path.iterdir()) == []
    assert not any(disk.read_bytes())


def test_the_command_that_fails(command: CommandLine, tmp_path: Path) -> None:
    with MisbehavingServer() as server:
        url = server.on("/image", Serve(tiny_image()))
        said = command("plan", "--url", url, "--type", "raw", "--disk", str(tmp_path / "none"), "--json")
    assert said.code == 3
    (line,) = map(json.loads, said.out.splitlines())
    assert (line["event"], line["exitCode"], line["step"]) == ("error", 3, "disk")
    assert f"Error: There is no disk at {tmp_path}/none." in said.err
