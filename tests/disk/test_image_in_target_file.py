"""An image in a file of this server that is the target itself."""

import json
from pathlib import Path

import pytest

from tests.agent_process import digest
from tests.small_images import gpt_image
from tests.unit.test_cli_common import CommandLine, command

__all__ = ["command"]

ELSEWHERE = "http://127.0.0.1:1/image"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return gpt_image(tmp_path / "disk #1.raw")


def place_of(disk: Path, how: str) -> Path:
    place = disk.with_name("image.raw")
    if how == "a hard link":
        place.hardlink_to(disk)
    elif how == "a link":
        place.symlink_to(disk)
    return disk if how == "its path" else place


@pytest.mark.parametrize("staging", ["memory", "stream"])
@pytest.mark.parametrize("how", ["its path", "a hard link", "a link"])
def test_the_image_is_the_target(command: CommandLine, disk: Path, how: str, staging: str) -> None:
    url, before = place_of(disk, how).as_uri(), digest(disk)
    words = ("--url", url, "--type", "raw", "--disk", str(disk), "--staging", staging)
    for said in (command("deploy", *words, "--yes", "--json"), command("plan", *words, "--json")):
        assert said.code == 3, said.err
        assert f"The image is on the disk {disk}, to which it would be written." in said.err.replace(
            "\n", " "
        )
    assert digest(disk) == before


def test_the_target_by_a_link(command: CommandLine, disk: Path) -> None:
    link = disk.with_name("target")
    link.symlink_to(disk)
    said = command("plan", "--url", disk.as_uri(), "--type", "raw", "--disk", str(link))
    assert said.code == 3, said.err


def test_a_mirror_is_the_target(command: CommandLine, disk: Path) -> None:
    words = ("--url", ELSEWHERE, "--mirrors", ELSEWHERE, "--mirrors", disk.as_uri(), "--fetch-retries", "0")
    said = command("deploy", *words, "--type", "raw", "--disk", str(disk), "--yes", "--json")
    last = json.loads(said.out.splitlines()[-1])
    assert (said.code, last["diskTouched"]) == (3, False), said.err
    assert disk.as_uri() in last["detail"]
    assert last["hint"]


def test_other_files_are_no_reason(command: CommandLine, disk: Path, tmp_path: Path) -> None:
    """One that is not there is left to the download to tell of; a copy is another file."""
    target = gpt_image(tmp_path / "target")
    words = ("--type", "raw", "--disk", str(target), "--mirrors", (tmp_path / "none").as_uri())
    said = command("plan", "--url", disk.as_uri(), *words)
    assert said.code == 0, said.err
    long = (tmp_path / ("x" * 300)).as_uri()
    said = command("plan", "--url", long, *words, "--fetch-retries", "0")
    assert said.code == 4, said.err
