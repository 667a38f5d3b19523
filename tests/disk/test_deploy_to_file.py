"""A whole deployment onto a regular file full of random bytes, judged by other people's tools."""

import json
import os
from pathlib import Path

import pytest

from partitioning.byte_access import BytesReader
from partitioning.fat.file_system import FatFileSystem
from tests import cloud_init_reader
from tests.agent_process import CONFIGDRIVE, SSH_KEY, UNPRIVILEGED, Agent, digest, request_for, with_sum
from tests.disk.conftest import MakeLoop, serve
from tests.misbehaving_server import MisbehavingServer, Serve
from tests.ova_samples import ova, stream_optimised, vmdk
from tests.small_images import (
    MIB,
    esp_with_loader,
    gpt_image,
    mbr_image,
    put,
    qcow2,
    random_file,
    sparse_pattern,
    tool,
)

SECTOR = 512
HEADER_AND_ARRAY = 33 * SECTOR


def partitions(path: Path) -> dict[str, dict[str, str]]:
    """What sfdisk reads: the partitions by number."""
    table = json.loads(tool("sfdisk", "--json", path))["partitiontable"]
    return {entry["node"].removeprefix(str(path)): entry for entry in table["partitions"]}


def extract(path: Path, start: int, size: int, into: Path) -> Path:
    with path.open("rb") as stream:
        stream.seek(start)
        into.write_bytes(stream.read(size))
    return into


def read_config_drive(disk: Path, number: str, tmp_path: Path) -> cloud_init_reader.WhatCloudInitRead:
    entry = partitions(disk)[number]
    image = extract(disk, int(entry["start"]) * SECTOR, int(entry["size"]) * SECTOR, tmp_path / "drive.iso")
    out = tmp_path / "drive"
    tool("xorriso", "-osirrox", "on", "-indev", image, "-extract", "/", out)
    tool("chmod", "-R", "u+w", out)
    return cloud_init_reader.read(out)


@pytest.fixture
def unprivileged(agent: Agent) -> Agent:
    """An agent without root's rights."""
    return Agent(run_directory=agent.run_directory, before=UNPRIVILEGED if os.geteuid() == 0 else ())


def test_gpt_qcow2_without_root(
    unprivileged: Agent, server: MisbehavingServer, raw_gpt: Path, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    before = disk.read_bytes()
    request = request_for(serve(server, qcow2_gpt), disk, configdrive=CONFIGDRIVE, **with_sum(qcow2_gpt))
    ended = unprivileged.deploy(request)
    assert (ended.code, ended.message) == (0, "done"), ended.people
    assert "No problems found" in tool("sgdisk", "-v", disk)

    converted = tmp_path / "converted.raw"
    tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", qcow2_gpt, converted)
    image, deployed = converted.read_bytes(), disk.read_bytes()
    # Equal but for the MBR's size field, the primary header, the new entry, and where the old backup stood.
    differing = [lba for lba in range(len(image) // SECTOR) if _sector(image, lba) != _sector(deployed, lba)]
    end = len(image) // SECTOR
    stale_backup = set(range(end - 33, end))
    assert set(differing) <= {0, 1, 2} | stale_backup
    assert image[:446] == deployed[:446]
    assert not any(deployed[len(image) - HEADER_AND_ARRAY : len(image)])
    # The new ConfigDrive is the one entry that was added: number 2, the first that was free.
    array = slice(2 * SECTOR, 34 * SECTOR)
    assert image[array][:128] == deployed[array][:128]
    assert image[array][256:] == deployed[array][256:]
    # Room behind the image is neither erased nor written to, but for what the ends of the disk need.
    middle = slice(len(image) + 8 * MIB, len(image) + 40 * MIB)
    assert deployed[middle] == before[middle]


def _sector(data: bytes, lba: int) -> bytes:
    return data[lba * SECTOR : (lba + 1) * SECTOR]


def test_cloud_init_reads_the_drive(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    assert agent.deploy(request_for(serve(server, qcow2_gpt), disk, configdrive=CONFIGDRIVE)).code == 0
    read = read_config_drive(disk, "2", tmp_path)
    assert read.taken
    assert read.hostname == "web1"
    assert read.ssh_keys == [SSH_KEY]
    assert read.userdata == CONFIGDRIVE["userData"].encode()
    assert read.metadata["meta"] == {"role": "web", "note": 'Käse\n"quoted"'}


def test_config_drive_is_last_and_room_stays_free(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path
) -> None:
    agent.deploy(request_for(serve(server, qcow2_gpt), disk, configdrive=CONFIGDRIVE))
    entries = partitions(disk)
    end_of_root = int(entries["1"]["start"]) + int(entries["1"]["size"])
    drive = entries["2"]
    assert int(drive["start"]) + int(drive["size"]) == disk.stat().st_size // SECTOR - 33
    assert int(drive["start"]) - end_of_root > 60 * 2048
    # growpart's own tool finds that room behind the root partition.
    assert "1" in tool("sfdisk", "--list-free", "--quiet", disk)


def test_without_config_drive_no_partition_is_made(
    agent: Agent, server: MisbehavingServer, raw_gpt: Path, qcow2_gpt: Path, disk: Path
) -> None:
    drive = CONFIGDRIVE | {"enable": False}
    assert agent.deploy(request_for(serve(server, qcow2_gpt), disk, configdrive=drive)).code == 0
    assert partitions(disk).keys() == partitions(raw_gpt).keys()


def test_raw_image_equals_source(agent: Agent, server: MisbehavingServer, raw_gpt: Path, disk: Path) -> None:
    ended = agent.deploy(request_for(serve(server, raw_gpt), disk, "raw", options={"verify": True}))
    assert ended.code == 0
    assert "compare" in ended.steps()
    end = raw_gpt.stat().st_size - HEADER_AND_ARRAY
    assert disk.read_bytes()[34 * SECTOR : end] == raw_gpt.read_bytes()[34 * SECTOR : end]


def test_raw_image_with_half_a_sector(
    agent: Agent, server: MisbehavingServer, raw_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "odd.raw"
    odd.write_bytes(raw_gpt.read_bytes() + b"tail")
    assert agent.deploy(request_for(serve(server, odd), disk, "raw")).code == 0
    # The last sector is the four bytes and nothing but zeroes after them.
    assert disk.read_bytes()[raw_gpt.stat().st_size :][:SECTOR] == b"tail" + bytes(SECTOR - 4)


def test_mbr_image(agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path) -> None:
    raw = mbr_image(tmp_path / "mbr.raw")
    ended = agent.deploy(request_for(serve(server, qcow2(raw)), disk, configdrive=CONFIGDRIVE))
    assert ended.code == 0, ended.people
    image, deployed = raw.read_bytes(), disk.read_bytes()
    # Nothing but the second entry of the table differs within the image.
    assert image[:462] == deployed[:462]
    assert image[478 : len(image)] == deployed[478 : len(image)]
    drive = partitions(disk)["2"]
    assert int(drive["start"]) + int(drive["size"]) == disk.stat().st_size // SECTOR
    assert read_config_drive(disk, "2", tmp_path).hostname == "web1"


def test_mbr_image_on_a_disk_beyond_two_tebibytes(
    agent: Agent, server: MisbehavingServer, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, 3 << 40)
    image = qcow2(mbr_image(tmp_path / "mbr.raw"))
    ended = agent.deploy(request_for(serve(server, image), large, configdrive=CONFIGDRIVE))
    assert ended.code == 0, ended.people
    assert "2 TiB" in ended.status["warnings"][0]
    drive = partitions(large)["2"]
    assert int(drive["start"]) + int(drive["size"]) == 1 << 32 - 1 or int(drive["start"]) < 1 << 32
    assert read_config_drive(large, "2", tmp_path).hostname == "web1"


def test_image_as_large_as_the_disk(
    agent: Agent, server: MisbehavingServer, raw_gpt: Path, qcow2_gpt: Path, tmp_path: Path
) -> None:
    disk = random_file(tmp_path / "exact", raw_gpt.stat().st_size)
    assert agent.deploy(request_for(serve(server, qcow2_gpt), disk)).code == 0
    assert disk.read_bytes() == raw_gpt.read_bytes()


def test_drive_of_the_image_is_used(
    agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    raw = _image_with_drive(tmp_path, sectors=8192)
    ended = agent.deploy(request_for(serve(server, raw), disk, "raw", configdrive=CONFIGDRIVE))
    assert ended.code == 0, ended.people
    assert partitions(disk).keys() == partitions(raw).keys()
    assert read_config_drive(disk, "7", tmp_path).hostname == "web1"


def test_drive_of_the_image_that_is_too_small_is_replaced(
    agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    raw = _image_with_drive(tmp_path, sectors=1024)
    large = CONFIGDRIVE | {"userData": "#!/bin/sh\n" + "# padding\n" * 100_000}
    start = int(partitions(raw)["7"]["start"]) * SECTOR
    assert agent.deploy(request_for(serve(server, raw), disk, "raw", configdrive=large)).code == 0
    assert "7" not in partitions(disk)
    assert read_config_drive(disk, "2", tmp_path).userdata == str(large["userData"]).encode()
    # The old drive's label would win over the new one's.
    assert "CD001" not in disk.read_bytes()[start : start + 1024 * SECTOR].decode("latin-1")


def _image_with_drive(tmp_path: Path, *, sectors: int) -> Path:
    """An image that brings a ConfigDrive as partition 7, within the 8 MiB before its end."""
    raw = gpt_image(tmp_path / "with-drive.raw", size=104 * MIB)
    tool("sgdisk", "-d", "1", "-n", "1:73728:+60M", "-n", f"7:200704:+{sectors - 1}", raw)
    source = tmp_path / "old-drive"
    (source / "openstack/latest").mkdir(parents=True)
    (source / "openstack/latest/meta_data.json").write_text('{"uuid": "old"}')
    iso = tmp_path / "old.iso"
    tool("xorriso", "-as", "mkisofs", "-V", "config-2", "-J", "-R", "-o", iso, source)
    assert iso.stat().st_size <= sectors * SECTOR
    put(raw, 200704 * SECTOR, iso.read_bytes())
    return raw


def test_erase_full_leaves_nothing_behind_the_image(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, raw_gpt: Path, disk: Path
) -> None:
    assert agent.deploy(request_for(serve(server, qcow2_gpt), disk, options={"erase": "full"})).code == 0
    behind = disk.read_bytes()[raw_gpt.stat().st_size : -HEADER_AND_ARRAY]
    assert not any(behind)


def test_4096_byte_sectors(
    agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path, make_loop: MakeLoop
) -> None:
    raw = _image_4096(tmp_path, make_loop)
    options = {"sectorSize": 4096, "bootType": "uefi"}
    request = request_for(serve(server, qcow2(raw)), disk, configdrive=CONFIGDRIVE, options=options)
    ended = agent.deploy(request)
    assert ended.code == 0, ended.people
    device = make_loop(disk, 4096)
    assert "No problems found" in tool("sgdisk", "-v", device)
    table = json.loads(tool("sfdisk", "--json", device))["partitiontable"]
    entry = next(part for part in table["partitions"] if part.get("name") == "config-2")
    drive = extract(disk, entry["start"] * 4096, entry["size"] * 4096, tmp_path / "drive.fat")
    tool("fsck.vfat", "-n", drive)
    assert FatFileSystem(BytesReader(drive.read_bytes())).label.lower() == "config-2"
    out = tmp_path / "drive"
    out.mkdir()
    tool("mcopy", "-s", "-i", drive, "::openstack", out)
    assert cloud_init_reader.read(out).hostname == "web1"


def _image_4096(tmp_path: Path, make_loop: MakeLoop) -> Path:
    """An image for 4096-byte sectors with an ESP and a root partition, made on such a loop device."""
    raw = tmp_path / "4k.raw"
    raw.touch()
    os.truncate(raw, 96 * MIB)
    device = make_loop(raw, 4096)
    tool("sgdisk", "-n", "15:256:+32M", "-t", "15:ef00", "-n", "1:0:0", "-t", "1:8300", device)
    put(raw, MIB, esp_with_loader(tmp_path / "esp", 32 * MIB, sector_size=4096))
    put(raw, 40 * MIB, sparse_pattern(30 * MIB, 4))
    return raw


@pytest.mark.parametrize("sector_size", [512])
def test_loop_device(
    agent: Agent,
    server: MisbehavingServer,
    qcow2_gpt: Path,
    disk: Path,
    make_loop: MakeLoop,
    sector_size: int,
) -> None:
    device = make_loop(disk, sector_size)
    options = {"bootType": "legacy", "verify": True}
    request = request_for(serve(server, qcow2_gpt), device, configdrive=CONFIGDRIVE, options=options)
    ended = agent.deploy(request)
    assert ended.code == 0, ended.people
    assert "No problems found" in tool("sgdisk", "-v", device)


def test_plan_changes_nothing(agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path) -> None:
    before = digest(disk)
    request = request_for(serve(server, qcow2_gpt), disk, configdrive=CONFIGDRIVE)
    done = agent.run("plan", "-", "--json", stdin=json.dumps(request).encode())
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["configdrive"]["partition"] == 2
    assert plan["image"]["virtualSize"] == 96 * MIB
    assert digest(disk) == before


def test_a_second_deployment_replaces_the_first(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    request = request_for(serve(server, qcow2_gpt), disk, configdrive=CONFIGDRIVE)
    assert agent.deploy(request).code == 0
    other = request | {"configdrive": CONFIGDRIVE | {"hostname": "web2"}}
    assert agent.deploy(other).code == 0
    assert read_config_drive(disk, "2", tmp_path).hostname == "web2"


def test_secrets_appear_nowhere(agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path) -> None:
    server.on("/image", Serve(qcow2_gpt.read_bytes()))
    url = server.url("/image?signature=s3cret-query", user_info="user:s3cret-password")
    drive = CONFIGDRIVE | {"userData": "s3cret-user-data"}
    header = [{"key": "X-Token", "value": "s3cret-header"}]
    ended = agent.deploy(request_for(url, disk, configdrive=drive, httpHeader=header))
    assert ended.code == 0
    assert server.seen("/image")[0].headers["X-Token"] == "s3cret-header"
    failed = agent.deploy(request_for(url.replace("/image", "/gone"), disk, httpHeader=header))
    assert failed.code == 4
    left = [path.read_text() for path in agent.run_directory.iterdir()]
    told = [ended.people, failed.people, json.dumps(ended.events), json.dumps(failed.events), *left]
    assert not [text for text in told if "s3cret" in text]


@pytest.mark.parametrize("form", ["streamOptimized", "monolithicSparse", "with a footer"])
def test_an_ova(
    agent: Agent, server: MisbehavingServer, raw_gpt: Path, disk: Path, tmp_path: Path, form: str
) -> None:
    raw = tmp_path / "image.raw"
    raw.write_bytes(raw_gpt.read_bytes())
    content = stream_optimised(raw.read_bytes()) if form == "with a footer" else vmdk(raw, form).read_bytes()
    path = tmp_path / "box.ova"
    path.write_bytes(ova(content))
    options = {"verify": True}
    ended = agent.deploy(
        request_for(
            serve(server, path), disk, "ova", configdrive=CONFIGDRIVE, options=options, **with_sum(path)
        )
    )
    assert (ended.code, ended.message) == (0, "done"), ended.people
    end = raw_gpt.stat().st_size - HEADER_AND_ARRAY
    assert disk.read_bytes()[34 * SECTOR : end] == raw_gpt.read_bytes()[34 * SECTOR : end]
    assert "No problems found" in tool("sgdisk", "-v", disk)
    assert partitions(disk).keys() > partitions(raw_gpt).keys()


def test_an_ova_with_a_wrong_sum_in_its_manifest(
    agent: Agent, server: MisbehavingServer, raw_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    before, content = digest(disk), ova(stream_optimised(raw_gpt.read_bytes()))
    at = content.index(b"KDMV") + 70_000
    path = tmp_path / "box.ova"
    path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    ended = agent.deploy(request_for(serve(server, path), disk, "ova"))
    assert (ended.code, ended.message) == (3, "Bad format image, expected : qcow2, raw."), ended.people
    assert "The manifest gives the sha256" in ended.people
    assert digest(disk) == before
