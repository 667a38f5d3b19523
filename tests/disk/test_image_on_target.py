"""An image in a file of this server that the target stands on."""

from pathlib import Path

import pytest

from tests.agent_process import Agent, Ended, digest, request_for
from tests.disk.conftest import MakeLoop
from tests.disk.loop_device import mounted
from tests.small_images import tool


def refused(agent: Agent, image: Path, target: Path) -> Ended:
    request = request_for(image.as_uri(), target, "raw", options={"staging": "stream"})
    ended = agent.deploy(request)
    assert (ended.code, ended.status["diskTouched"]) == (3, False), ended.people
    assert ended.status["hint"]
    return ended


@pytest.fixture
def image(raw_gpt: Path, tmp_path: Path) -> Path:
    path = tmp_path / "image.raw"
    path.write_bytes(raw_gpt.read_bytes())
    return path


def test_the_file_of_a_loop_device(agent: Agent, image: Path, make_loop: MakeLoop) -> None:
    before, device = digest(image), make_loop(image)
    # What counts is the file, not under which name it was attached.
    other = image.with_name("other name")
    image.rename(other)
    ended = refused(agent, other, device)
    assert ended.message == f"The image is on the disk {device}, to which it would be written."
    assert f"the file of the loop device {device}" in ended.status["detail"]
    assert digest(other) == before
    other.rename(image)


def test_the_file_of_a_loop_device_under_a_loop_device(
    agent: Agent, image: Path, make_loop: MakeLoop
) -> None:
    before, below = digest(image), make_loop(image)
    target = make_loop(below)
    assert f"the file of the loop device {below}" in refused(agent, image, target).status["detail"]
    assert f"is {below}, on which it stands" in refused(agent, below, target).status["detail"]
    assert digest(image) == before


def test_the_device_itself(agent: Agent, image: Path, make_loop: MakeLoop) -> None:
    device = make_loop(image)
    assert f"file://{device} is this disk." in refused(agent, device, device).status["detail"]


def test_a_file_system_of_the_target(
    agent: Agent, raw_gpt: Path, disk: Path, make_loop: MakeLoop, tmp_path: Path
) -> None:
    device = make_loop(disk)
    tool("mkfs.ext4", "-q", "-F", device)
    with mounted(device, tmp_path / "mnt") as place:
        image = place / "image.raw"
        image.write_bytes(raw_gpt.read_bytes())
        for target in (device, disk):
            assert str(place) in refused(agent, image, target).status["detail"]


def test_another_file(agent: Agent, image: Path, disk: Path, make_loop: MakeLoop) -> None:
    device = make_loop(disk)
    ended = agent.deploy(request_for(image.as_uri(), device, "raw", options={"staging": "stream"}))
    assert ended.code == 0, ended.people
