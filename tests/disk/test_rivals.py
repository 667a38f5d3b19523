"""Other disks that would win over the new one at boot are found and named; nothing is written to them."""

from pathlib import Path

import pytest

from agent.deployment.rivals import find_rivals
from agent.fetch.spool import Spool
from agent.images.image import Image, raw_image
from partitioning.disks import file_disk
from partitioning.table import PartitionTable, read_table
from tests.agent_process import CONFIGDRIVE, Agent, digest, request_for
from tests.disk.conftest import serve
from tests.misbehaving_server import MisbehavingServer
from tests.small_images import MIB, gpt_image, random_file, tool

ROOT_START = 36 * MIB


@pytest.fixture(scope="module")
def image_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image whose root partition is an ext4, so that it has a UUID."""
    path = gpt_image(tmp_path_factory.mktemp("rivals") / "image.raw")
    tool("mkfs.ext4", "-q", "-F", "-E", f"offset={ROOT_START}", path, f"{59 * 1024}k")
    return path


@pytest.fixture
def other(agent: Agent, server: MisbehavingServer, image_file: Path, disk: Path) -> Path:
    """The disk of an earlier deployment of the same image."""
    ended = agent.deploy(request_for(serve(server, image_file), disk, "raw", configdrive=CONFIGDRIVE))
    assert ended.code == 0, ended.people
    return disk


def opened(spool: Spool, path: Path) -> tuple[Image, PartitionTable]:
    spool.append(path.read_bytes())
    image = raw_image(fd=spool.fd, file_size=spool.size, reader=spool)
    return image, read_table(spool, 512)


def test_both_kinds_are_named(image_file: Path, other: Path) -> None:
    before = digest(other)
    with Spool() as spool:
        image, table = opened(spool, image_file)
        said = find_rivals(image, table, [file_disk(other)], wants_config_drive=True)
    uuid = tool("blkid", "-p", "-O", str(ROOT_START), "-s", "UUID", "-o", "value", image_file).strip()
    assert [f"Partition 1 of {other}" in text and uuid in text for text in said].count(True) == 1
    assert [f"Partition 2 of {other} is labelled config-2" in text for text in said].count(True) == 1
    assert digest(other) == before


def test_a_drive_there_does_not_matter_when_none_is_made(image_file: Path, other: Path) -> None:
    with Spool() as spool:
        image, table = opened(spool, image_file)
        said = find_rivals(image, table, [file_disk(other)], wants_config_drive=False)
    assert not [text for text in said if "config-2" in text]


def test_a_whole_disk_without_a_table_is_looked_at(image_file: Path, tmp_path: Path) -> None:
    source = tmp_path / "drive"
    source.mkdir()
    medium = tmp_path / "medium.iso"
    tool("xorriso", "-as", "mkisofs", "-V", "CONFIG-2", "-o", medium, source)
    with Spool() as spool:
        image, table = opened(spool, image_file)
        (said,) = find_rivals(image, table, [file_disk(medium)], wants_config_drive=True)
    assert said.startswith(f"{medium} is labelled config-2")


def test_disks_that_hold_nothing_or_can_not_be_read_are_passed_over(image_file: Path, tmp_path: Path) -> None:
    noise = file_disk(random_file(tmp_path / "noise", 4 * MIB))
    gone = file_disk(random_file(tmp_path / "gone", MIB))
    gone.path.unlink()
    with Spool() as spool:
        image, table = opened(spool, image_file)
        assert find_rivals(image, table, [noise, gone], wants_config_drive=True) == ()
