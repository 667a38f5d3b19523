"""What is changed so that a disk boots: sectors of another size, a loader that is missing, an ESP that is."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agent_process import CONFIGDRIVE, Agent, Ended, request_for
from tests.disk.conftest import MakeLoop, serve
from tests.disk.test_refusals import unchanged
from tests.efi_programs import efi_program
from tests.misbehaving_server import MisbehavingServer
from tests.small_images import (
    MIB,
    esp_with_loader,
    gpt_image,
    mbr_image,
    program,
    put,
    qcow2,
    random_file,
    sparse_pattern,
    tool,
)

LOADERS = {
    "shimx64.efi": program(b"shim"),
    "grubx64.efi": program(b"grub \0/EFI/debian\0"),
    "mmx64.efi": program(b"manager"),
}
SHIM, GRUB = efi_program({".vendor_cert": bytes(64)}), program(b"the grub")
MENU = "menuentry 'Linux' {\n  linux /boot/vmlinuz root=UUID=x\n}\n"
ESP_START, ESP_SIZE, ROOT_START = 2 * MIB, 32 * MIB, 36 * MIB


@dataclass
class Deployed:
    """A disk after a deployment, looked at with other people's tools."""

    disk: Path
    device: Path
    sector_size: int
    folder: Path

    def partitions(self) -> dict[int, dict[str, str]]:
        table = json.loads(tool("sfdisk", "--json", self.device))["partitiontable"]
        return {int(entry["node"].removeprefix(f"{self.device}p")): entry for entry in table["partitions"]}

    def extract(self, number: int) -> Path:
        entry = self.partitions()[number]
        out = self.folder / f"partition-{number}"
        with self.disk.open("rb") as stream:
            stream.seek(int(entry["start"]) * self.sector_size)
            out.write_bytes(stream.read(int(entry["size"]) * self.sector_size))
        return out

    def esp_files(self, number: int) -> dict[str, bytes]:
        return files_of(self.extract(number))


def files_of(volume: Path) -> dict[str, bytes]:
    tool("fsck.vfat", "-n", volume)
    listed = tool("mdir", "-/", "-b", "-i", volume, "::").split()
    paths = [name.removeprefix("::/") for name in listed if not name.endswith("/")]
    return {path: mtype(volume, path) for path in paths}


def mtype(volume: Path, path: str) -> bytes:
    return subprocess.run(["mtype", "-i", volume, f"::/{path}"], check=True, capture_output=True).stdout


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A file as a disk, full of random bytes, with room for an ESP behind the image."""
    return random_file(tmp_path / "disk", 176 * MIB)


@pytest.fixture
def loaders(tmp_path: Path) -> Path:
    directory = tmp_path / "loaders"
    directory.mkdir()
    for name, content in LOADERS.items():
        (directory / name).write_bytes(content)
    return directory


@pytest.fixture
def uefi(tmp_path: Path, loaders: Path) -> Agent:
    """An agent whose rescue system has a signed loader."""
    return Agent(run_directory=tmp_path / "run", environment={"BYOI_AGENT_LOADERS": str(loaders)})


Deploy = Callable[..., tuple[Ended, Deployed]]


@pytest.fixture
def deploy(uefi: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path, make_loop: MakeLoop) -> Deploy:
    """Deploy a raw image as qcow2 for UEFI firmware, and judge the table."""

    def run(
        raw: Path, *, sector_size: int = 512, kind: str = "qcow2", **options: object
    ) -> tuple[Ended, Deployed]:
        file = qcow2(raw, "-c") if kind == "qcow2" else raw
        wanted = {"bootType": "uefi", "sectorSize": sector_size, "verify": True, **options}
        ended = uefi.deploy(
            request_for(serve(server, file), disk, kind, configdrive=CONFIGDRIVE, options=wanted)
        )
        assert ended.code == 0, ended.people
        device = make_loop(disk, sector_size)
        if '"label":"gpt"' in tool("sfdisk", "--json", device).replace(" ", ""):
            assert "No problems found" in tool("sgdisk", "-v", device)
        tool("sfdisk", "--verify", device)
        return ended, Deployed(disk, device, sector_size, tmp_path)

    return run


def uuid_of(path: Path, offset: int = 0) -> str:
    return tool("blkid", "-p", "-O", str(offset), "-s", "UUID", "-o", "value", path).strip()


def guids(raw: Path) -> dict[int, str]:
    table = json.loads(tool("sfdisk", "--json", raw))["partitiontable"]
    return {int(part["node"].removeprefix(str(raw))): part["uuid"] for part in table["partitions"]}


def with_root(raw: Path, files: dict[str, str] | None = None) -> Path:
    """Put an ext4 with some files where the root partition of ``gpt_image`` is."""
    tree = raw.with_suffix(".tree")
    for name, content in (files or {}).items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    tree.mkdir(exist_ok=True)
    where = ("-E", f"offset={ROOT_START}", "-d", tree, raw, f"{59 * 1024}k")
    tool("mkfs.ext4", "-q", "-F", "-b", "4096", "-O", "^metadata_csum_seed,^orphan_file", *where)
    return raw


# Sectors of another size


@pytest.mark.parametrize(("kind", "staging"), [("raw", "memory"), ("qcow2", "memory"), ("qcow2", "stream")])
def test_an_image_for_512_on_a_disk_with_4096(
    deploy: Deploy, tmp_path: Path, kind: str, staging: str
) -> None:
    raw = with_root(gpt_image(tmp_path / "image.raw"))
    image = raw.read_bytes()
    esp_before = tmp_path / "esp-before"
    esp_before.write_bytes(image[ESP_START : ESP_START + ESP_SIZE])
    ended, deployed = deploy(raw, sector_size=4096, kind=kind, staging=staging)
    assert "esp" in ended.steps()
    found = deployed.partitions()
    assert {number: found[number]["uuid"] for number in (1, 14, 15)} == guids(raw)
    assert [int(found[number]["start"]) * 4096 for number in (14, 15, 1)] == [MIB, ESP_START, ROOT_START]
    esp = deployed.extract(15)
    assert files_of(esp) == files_of(esp_before)
    assert uuid_of(esp) == uuid_of(esp_before)
    assert esp.read_bytes()[11:13] == (4096).to_bytes(2, "little")
    assert deployed.extract(1).read_bytes()[: 59 * MIB] == image[ROOT_START : ROOT_START + 59 * MIB]
    # Nothing is left that a reader for 512-byte sectors would take for a table.
    written = deployed.disk.read_bytes()
    assert b"EFI PART" not in written[512:4096] + written[5000:ROOT_START] + written[95 * MIB : 96 * MIB]


def test_an_image_for_4096_on_a_disk_with_512(deploy: Deploy, tmp_path: Path, make_loop: MakeLoop) -> None:
    raw = tmp_path / "4k.raw"
    raw.touch()
    os.truncate(raw, 96 * MIB)
    device = make_loop(raw, 4096)
    tool("sgdisk", "-n", "15:256:+32M", "-t", "15:ef00", "-n", "1:0:0", "-t", "1:8300", device)
    put(raw, MIB, esp_with_loader(tmp_path / "esp", 32 * MIB, sector_size=4096))
    put(raw, 40 * MIB, sparse_pattern(30 * MIB, 4))
    _, deployed = deploy(raw)
    esp = deployed.extract(15)
    assert list(files_of(esp)) == ["EFI/BOOT/BOOTX64.EFI"]
    assert files_of(esp) == files_of(tmp_path / "esp")
    assert uuid_of(esp) == uuid_of(tmp_path / "esp")
    assert esp.read_bytes()[11:13] == (512).to_bytes(2, "little")


def test_an_mbr_for_512_on_a_disk_with_4096(deploy: Deploy, tmp_path: Path) -> None:
    raw = mbr_image(tmp_path / "mbr.raw", size=96 * MIB)
    put(raw, 0, bytes(440))
    esp = esp_with_loader(tmp_path / "esp", 32 * MIB)
    tool("sfdisk", "-q", raw, stdin=b"label: dos\nstart=2048, size=65536, type=ef\nstart=67584, type=83\n")
    put(raw, MIB, esp)
    _, deployed = deploy(raw, sector_size=4096)
    assert list(deployed.esp_files(1)) == ["EFI/BOOT/BOOTX64.EFI"]
    assert int(deployed.partitions()[2]["start"]) * 4096 == 33 * MIB


@pytest.mark.parametrize(
    ("mkfs", "reason"),
    [
        (("mkfs.ext4", "-q", "-F", "-b", "1024"), "its ext4 file system has blocks of 1024 bytes"),
        (("mkfs.xfs", "-q", "-f", "-s", "size=512"), "its xfs file system has sectors of 512 bytes"),
    ],
)
def test_a_file_system_that_can_not_be_mounted_there(
    uefi: Agent,
    server: MisbehavingServer,
    disk: Path,
    tmp_path: Path,
    mkfs: tuple[str, ...],
    reason: str,
) -> None:
    raw = gpt_image(tmp_path / "image.raw", size=400 * MIB)
    root = tmp_path / "root"
    root.touch()
    os.truncate(root, 350 * MIB)
    tool(*mkfs, root)
    put(raw, ROOT_START, root.read_bytes()[:MIB])
    big = random_file(tmp_path / "big", 8 * MIB)
    os.truncate(big, 410 * MIB)
    with unchanged(big):
        ended = uefi.deploy(
            request_for(serve(server, qcow2(raw)), big, options={"bootType": "uefi", "sectorSize": 4096})
        )
    assert (ended.code, ended.status["diskTouched"]) == (3, False)
    assert ended.message == "The image can not be used on a disk with sectors of 4096 bytes."
    assert f"Partition 1: {reason}" in ended.status["detail"]


@pytest.mark.parametrize("enable", [True, False])
def test_a_config_drive_of_the_images_own_that_can_not_be_mounted_there(
    uefi: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path, enable: bool
) -> None:
    raw = gpt_image(tmp_path / "image.raw", size=120 * MIB)
    tool("sgdisk", "-d", "1", "-n", "2:73728:+8M", "-t", "2:8300", "-n", "1:90112:0", raw)
    (tmp_path / "drive").mkdir()
    tool("xorriso", "-as", "mkisofs", "-V", "config-2", "-o", tmp_path / "drive.iso", tmp_path / "drive")
    put(raw, 36 * MIB, (tmp_path / "drive.iso").read_bytes())
    request = request_for(
        serve(server, raw),
        disk,
        "raw",
        configdrive={**CONFIGDRIVE, "enable": enable},
        options={"bootType": "uefi", "sectorSize": 4096},
    )
    # It is replaced by one that can be mounted, or would be of no use to the system.
    assert uefi.deploy(request).code == (0 if enable else 3)


def test_a_table_that_can_not_be_rewritten(
    uefi: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    raw = gpt_image(tmp_path / "image.raw")
    tool("sgdisk", "-d", "1", "-a", "1", "-n", "1:73729:0", "-t", "1:8300", raw)
    with unchanged(disk):
        ended = uefi.deploy(
            request_for(serve(server, raw), disk, "raw", options={"bootType": "uefi", "sectorSize": 4096})
        )
    assert (ended.code, ended.message) == (3, "The image's partition table can not be used.")
    assert "Partition 1" in ended.status["detail"]


def test_legacy_firmware_and_a_disk_with_4096(
    uefi: Agent, server: MisbehavingServer, disk: Path, raw_gpt: Path
) -> None:
    with unchanged(disk):
        ended = uefi.deploy(
            request_for(
                serve(server, raw_gpt), disk, "raw", options={"bootType": "legacy", "sectorSize": 4096}
            )
        )
    assert (ended.code, ended.message) == (3, "The image can not boot on this server's legacy firmware.")
    assert "starts no disk with sectors of 4096 bytes" in ended.status["detail"]


# A loader at the fallback path


def test_an_empty_fallback_path_is_filled(deploy: Deploy, tmp_path: Path) -> None:
    raw = gpt_image(tmp_path / "image.raw")
    esp = tmp_path / "image.esp"
    tool("mmove", "-i", esp, "::/EFI/BOOT/BOOTX64.EFI", "::/EFI/BOOT/old.efi")
    tool("mmd", "-i", esp, "::/EFI/debian")
    files = {"shimx64.efi": SHIM, "grubx64.efi": GRUB, "grub.cfg": b"search x\n"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        tool("mcopy", "-i", esp, tmp_path / name, f"::/EFI/debian/{name}")
    put(raw, ESP_START, esp.read_bytes())
    before = files_of(esp)
    ended, deployed = deploy(raw)
    after = deployed.esp_files(15)
    added = {path: after[path] for path in after.keys() - before.keys()}
    assert {path.removeprefix("EFI/BOOT/"): content for path, content in added.items()} == {
        "BOOTX64.EFI": SHIM,
        "grubx64.efi": GRUB,
        "grub.cfg": b"search x\n",
    }
    assert {path: after[path] for path in before} == before
    assert uuid_of(deployed.extract(15)) == uuid_of(esp)
    assert "esp" in [step["name"] for step in ended.status["steps"]]


def test_an_esp_without_room_for_its_loader_at_the_fallback_path(
    uefi: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    raw = gpt_image(tmp_path / "image.raw")
    esp = tmp_path / "image.esp"
    esp_with_loader(esp, ESP_SIZE, loader="other.efi")
    tool("mmd", "-i", esp, "::/EFI/Microsoft", "::/EFI/Microsoft/Boot")
    (tmp_path / "large").write_bytes(program(os.urandom(20 * MIB)))
    tool("mcopy", "-i", esp, tmp_path / "large", "::/EFI/Microsoft/Boot/bootmgfw.efi")
    put(raw, ESP_START, esp.read_bytes())
    with unchanged(disk):
        ended = uefi.deploy(request_for(serve(server, raw), disk, "raw", options={"bootType": "uefi"}))
    assert ended.code == 3
    assert ended.message == "The FAT file system in partition 15 of the image can not be made anew."
    assert ended.status["hint"] == "Make partition 15 larger in the image, or take files out of it."


def test_an_esp_that_begins_within_the_first_mib(deploy: Deploy, tmp_path: Path) -> None:
    raw = tmp_path / "image.raw"
    raw.touch()
    os.truncate(raw, 96 * MIB)
    tool("sgdisk", "-a", "1", "-n", "15:64:+33M", "-t", "15:ef00", "-n", "1:0:0", "-t", "1:8300", raw)
    esp = tmp_path / "esp"
    esp_with_loader(esp, 33 * MIB, loader="other.efi")
    tool("mmd", "-i", esp, "::/EFI/debian")
    for name, content in {"shimx64.efi": SHIM, "grubx64.efi": GRUB}.items():
        (tmp_path / name).write_bytes(content)
        tool("mcopy", "-i", esp, tmp_path / name, f"::/EFI/debian/{name}")
    put(raw, 64 * 512, esp.read_bytes())
    _, deployed = deploy(raw)
    after = deployed.esp_files(15)
    assert after["EFI/BOOT/BOOTX64.EFI"] == after["EFI/debian/shimx64.efi"] == SHIM
    assert after["EFI/BOOT/grubx64.efi"] == GRUB


def test_a_file_that_is_no_program_is_no_loader(
    uefi: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    raw = gpt_image(tmp_path / "image.raw")
    esp = tmp_path / "image.esp"
    (tmp_path / "text").write_text("not a program")
    tool("mcopy", "-o", "-i", esp, tmp_path / "text", "::/EFI/BOOT/BOOTX64.EFI")
    put(raw, ESP_START, esp.read_bytes())
    with unchanged(disk):
        ended = uefi.deploy(request_for(serve(server, raw), disk, "raw", options={"bootType": "uefi"}))
    assert ended.code == 3
    detail = ended.status["detail"]
    assert "at a usual place, with what it starts beside it: \\EFI\\BOOT\\BOOTX64.EFI." in detail


def test_an_esp_is_added_beside_a_config_drive_of_the_images_own(deploy: Deploy, tmp_path: Path) -> None:
    raw = with_root(gpt_image(tmp_path / "image.raw", esp=False), files={"boot/grub/grub.cfg": MENU})
    tool("sgdisk", "-n", "2:4096:+8M", "-t", "2:8300", raw)
    source = tmp_path / "drive"
    source.mkdir()
    tool("xorriso", "-as", "mkisofs", "-V", "config-2", "-o", tmp_path / "drive.iso", source)
    put(raw, 2 * MIB, (tmp_path / "drive.iso").read_bytes())
    _, deployed = deploy(raw, kind="raw")
    found = deployed.partitions()
    assert int(found[2]["start"]) == 4096
    assert [number for number, part in found.items() if part["type"].lower().startswith("c12a7328")] == [3]


@pytest.mark.parametrize("size", [8, 1])
def test_a_fat_config_drive_of_the_images_own_on_other_sectors(
    deploy: Deploy, tmp_path: Path, size: int
) -> None:
    raw = gpt_image(tmp_path / "image.raw", size=120 * MIB)
    tool("sgdisk", "-d", "1", "-n", f"2:73728:+{size}M", "-t", "2:8300", "-n", "1:90112:0", raw)
    drive = tmp_path / "drive.fat"
    drive.touch()
    os.truncate(drive, size * MIB)
    tool("mkfs.vfat", "-n", "CONFIG-2", drive)
    put(raw, 36 * MIB, drive.read_bytes())
    _, deployed = deploy(raw, sector_size=4096)
    labels = [label_of(deployed.extract(number)) for number in deployed.partitions()]
    assert [label.lower() for label in labels].count("config-2") == 1


def test_an_esp_is_added_where_a_config_drive_of_the_images_own_is_too_small(
    uefi: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path, make_loop: MakeLoop
) -> None:
    raw = with_root(gpt_image(tmp_path / "image.raw", esp=False), files={"boot/grub/grub.cfg": MENU})
    tool("sgdisk", "-n", "2:4096:+1M", "-t", "2:8300", raw)
    source = tmp_path / "drive"
    source.mkdir()
    tool("xorriso", "-as", "mkisofs", "-V", "config-2", "-o", tmp_path / "drive.iso", source)
    put(raw, 2 * MIB, (tmp_path / "drive.iso").read_bytes()[:MIB])
    large = CONFIGDRIVE | {"userData": "#!/bin/sh\n" + "x" * 1_000_000}
    wanted = request_for(serve(server, raw), disk, "raw", configdrive=large, options={"bootType": "uefi"})
    ended = uefi.deploy(wanted)
    assert ended.code == 0, ended.people
    assert "No problems found" in tool("sgdisk", "-v", make_loop(disk))


def test_an_esp_that_would_lie_on_a_config_drive_that_goes_is_refused_before_writing(
    uefi: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    raw = gpt_image(tmp_path / "image.raw", esp=False, size=120 * MIB)
    tool("sgdisk", "-d", "1", "-n", "1:73728:+59M", "-t", "1:8300", "-n", "2:229376:+1M", "-t", "2:8300", raw)
    with_root(raw, files={"boot/grub/grub.cfg": MENU})
    source = tmp_path / "drive"
    source.mkdir()
    tool("xorriso", "-as", "mkisofs", "-V", "config-2", "-o", tmp_path / "drive.iso", source)
    put(raw, 112 * MIB, (tmp_path / "drive.iso").read_bytes()[:MIB])
    large = CONFIGDRIVE | {"userData": "#!/bin/sh\n" + "x" * 1_000_000}
    wanted = request_for(serve(server, raw), disk, "raw", configdrive=large, options={"bootType": "uefi"})
    with unchanged(disk):
        ended = uefi.deploy(wanted)
    assert (ended.code, ended.status["diskTouched"]) == (3, False), ended.people
    assert "no EFI system partition" in ended.status["detail"]


def label_of(path: Path) -> str:
    done = subprocess.run(
        ["blkid", "-p", "-s", "LABEL", "-o", "value", path], check=False, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_full_fallback_path_is_left_alone(deploy: Deploy, tmp_path: Path) -> None:
    raw = gpt_image(tmp_path / "image.raw")
    image = raw.read_bytes()
    ended, deployed = deploy(raw)
    assert "esp" not in [step["name"] for step in ended.status["steps"]]
    assert deployed.extract(15).read_bytes() == image[ESP_START : ESP_START + ESP_SIZE]


@pytest.mark.parametrize(
    ("asked", "code"), [("\\efi\\boot\\bootx64.efi", 0), ("\\EFI\\debian\\shimx64.efi", 3)]
)
def test_the_loader_that_is_asked_for_has_to_be_there(
    uefi: Agent, server: MisbehavingServer, disk: Path, raw_gpt: Path, asked: str, code: int
) -> None:
    options = {"bootType": "uefi", "efiBootloaderPath": asked}
    ended = uefi.deploy(request_for(serve(server, raw_gpt), disk, "raw", options=options))
    assert ended.code == code
    if code:
        assert ended.message == "The loader \\EFI\\debian\\shimx64.efi is not in the image."


def test_a_loader_that_is_asked_for_is_looked_for_though_any_firmware_would_do(
    uefi: Agent, server: MisbehavingServer, disk: Path, raw_gpt: Path
) -> None:
    with unchanged(disk):
        ended = uefi.deploy(
            request_for(serve(server, raw_gpt), disk, "raw", options={"efiBootloaderPath": "\\EFI\\no.efi"})
        )
    assert (ended.code, ended.message) == (3, "The loader \\EFI\\no.efi is not in the image.")
    assert "It has \\EFI\\BOOT\\BOOTX64.EFI." in ended.status["detail"]


def test_a_loader_for_another_machine_only(
    uefi: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    raw = with_root(gpt_image(tmp_path / "image.raw"), files={"boot/grub/grub.cfg": MENU})
    put(raw, ESP_START, esp_with_loader(tmp_path / "esp", ESP_SIZE, loader="BOOTAA64.EFI"))
    with unchanged(disk):
        ended = uefi.deploy(request_for(serve(server, raw), disk, "raw", options={"bootType": "uefi"}))
    assert ended.code == 3
    assert "\\EFI\\BOOT\\BOOTAA64.EFI" in ended.status["detail"]


# A loader that hands over to the image's own GRUB


def expected_files(menu_uuid: str, directory: str, after: dict[str, bytes]) -> None:
    for where, shim in (("EFI/BOOT", "BOOTX64.EFI"), ("EFI/byoi-agent", "shimx64.efi")):
        assert after[f"{where}/{shim}"] == LOADERS["shimx64.efi"]
        assert after[f"{where}/grubx64.efi"] == LOADERS["grubx64.efi"]
        assert after[f"{where}/mmx64.efi"] == LOADERS["mmx64.efi"]
    config = after["EFI/debian/grub.cfg"].decode()
    assert f"--set=root {menu_uuid}\n" in config
    assert f"set prefix=($root){directory}\n" in config


# Streamed, the menu can be looked for only when the image is on the disk.
@pytest.mark.parametrize(
    ("directory", "staging"),
    [
        ("/boot/grub", "memory"),
        ("/boot/grub2", "memory"),
        ("/grub", "stream"),
        ("/grub2", "memory"),
    ],
)
def test_an_esp_is_added(deploy: Deploy, tmp_path: Path, directory: str, staging: str) -> None:
    raw = with_root(gpt_image(tmp_path / "image.raw", esp=False), files={f"{directory[1:]}/grub.cfg": MENU})
    image = raw.read_bytes()
    ended, deployed = deploy(raw, kind="raw", staging=staging)
    assert ("look" in ended.steps()) == (staging == "stream")
    found = deployed.partitions()
    (number,) = [number for number, part in found.items() if part["type"].lower().startswith("c12a7328")]
    expected_files(uuid_of(raw, ROOT_START), directory, deployed.esp_files(number))
    drive = next(part for part in found.values() if part.get("name") == "config-2")
    end = int(found[number]["start"]) + int(found[number]["size"])
    assert end == int(drive["start"])
    assert (
        deployed.extract(1).read_bytes()
        == image[ROOT_START : ROOT_START + len(deployed.extract(1).read_bytes())]
    )


def test_an_esp_is_added_to_an_mbr(deploy: Deploy, tmp_path: Path) -> None:
    raw = mbr_image(tmp_path / "mbr.raw", size=96 * MIB)
    tree = tmp_path / "tree/boot/grub"
    tree.mkdir(parents=True)
    (tree / "grub.cfg").write_text(MENU)
    where = ("-E", f"offset={MIB}", "-d", tmp_path / "tree", raw, f"{90 * 1024}k")
    tool("mkfs.ext4", "-q", "-F", "-O", "^metadata_csum_seed,^orphan_file", *where)
    _, deployed = deploy(raw, kind="raw")
    assert [part["type"] for part in deployed.partitions().values()].count("ef") == 1
    expected_files(uuid_of(raw, MIB), "/boot/grub", deployed.esp_files(3))


def test_no_primary_entry_is_left_for_it(
    uefi: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    raw = mbr_image(tmp_path / "mbr.raw", size=96 * MIB, partitions=3)
    tree = tmp_path / "tree/boot/grub"
    tree.mkdir(parents=True)
    (tree / "grub.cfg").write_text(MENU)
    where = ("-E", f"offset={MIB}", "-d", tmp_path / "tree", raw, f"{24 * 1024}k")
    tool("mkfs.ext4", "-q", "-F", "-O", "^metadata_csum_seed,^orphan_file", *where)
    with unchanged(disk):
        request = request_for(
            serve(server, raw), disk, "raw", configdrive=CONFIGDRIVE, options={"bootType": "uefi"}
        )
        ended = uefi.deploy(request)
    assert ended.code == 3
    assert "no entry left" in ended.message
    assert "EFI system partition" in ended.status["detail"]


@pytest.mark.parametrize("staging", ["memory", "stream"])
def test_an_esp_without_a_loader_gets_one(deploy: Deploy, tmp_path: Path, staging: str) -> None:
    raw = with_root(gpt_image(tmp_path / "image.raw"), files={"boot/grub/grub.cfg": MENU})
    esp = tmp_path / "image.esp"
    tool("mdel", "-i", esp, "::/EFI/BOOT/BOOTX64.EFI")
    put(raw, ESP_START, esp.read_bytes())
    _, deployed = deploy(raw, kind="raw", staging=staging)
    expected_files(uuid_of(raw, ROOT_START), "/boot/grub", deployed.esp_files(15))
    assert uuid_of(deployed.extract(15)) == uuid_of(esp)


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"etc/x": "y"}, "No grub.cfg was found"),
        ({"boot/grub2/grub.cfg": "insmod blscfg\nblscfg\n"}, "/boot/grub2/grub.cfg lists no kernels itself"),
    ],
)
def test_nothing_to_hand_over_to(
    uefi: Agent,
    server: MisbehavingServer,
    disk: Path,
    tmp_path: Path,
    files: dict[str, str],
    reason: str,
) -> None:
    raw = with_root(gpt_image(tmp_path / "image.raw", esp=False), files=files)
    with unchanged(disk):
        ended = uefi.deploy(request_for(serve(server, raw), disk, "raw", options={"bootType": "uefi"}))
    assert (ended.code, ended.message) == (3, "The image can not boot on this server's UEFI firmware.")
    assert reason in ended.status["detail"]


def test_without_a_loader_here_nothing_is_written(
    agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    raw = with_root(gpt_image(tmp_path / "image.raw", esp=False), files={"boot/grub/grub.cfg": MENU})
    bare = Agent(run_directory=agent.run_directory, environment={"BYOI_AGENT_LOADERS": str(tmp_path)})
    with unchanged(disk):
        ended = bare.deploy(request_for(serve(server, raw), disk, "raw", options={"bootType": "uefi"}))
    assert ended.code == 3
    assert "grub-efi-amd64-signed" in ended.status["hint"]


def test_the_plan_says_what_would_be_changed(
    uefi: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    raw = with_root(gpt_image(tmp_path / "image.raw", esp=False), files={"boot/grub/grub.cfg": MENU})
    wanted = request_for(serve(server, raw), disk, "raw", options={"bootType": "uefi"})
    with unchanged(disk):
        shown = uefi.run("plan", "-", stdin=json.dumps(wanted).encode()).stdout
        plan = json.loads(uefi.run("plan", "-", "--json", stdin=json.dumps(wanted).encode()).stdout)
    assert "an EFI system partition becomes partition 2" in shown
    assert "hands over to /boot/grub/grub.cfg" in shown
    assert plan["loader"]["path"] == "\\EFI\\byoi-agent\\shimx64.efi"
    assert plan["fileSystems"][0]["reasons"] == ["added"]
