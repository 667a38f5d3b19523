"""What the disk tests share: an agent, an image source, small images, disks full of random bytes."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.agent_process import Agent
from tests.disk.loop_device import loop_device
from tests.misbehaving_server import MisbehavingServer, Serve
from tests.small_images import MIB, gpt_image, qcow2, random_file


class MakeLoop(Protocol):
    """Attaches a file as a block device."""

    def __call__(self, path: Path, sector_size: int = 512) -> Path: ...


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.disk)


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(run_directory=tmp_path / "run")


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture(scope="session")
def raw_gpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw GPT image that boots in both ways."""
    return gpt_image(tmp_path_factory.mktemp("gpt") / "gpt.raw")


@pytest.fixture(scope="session")
def qcow2_gpt(raw_gpt: Path) -> Path:
    """The same image as compressed qcow2."""
    return qcow2(raw_gpt, "-c")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A file as a disk, full of random bytes."""
    return random_file(tmp_path / "disk", 160 * MIB)


@pytest.fixture
def make_loop() -> Iterator[MakeLoop]:
    """Attach files as loop devices, and detach them in the end."""
    with ExitStack() as stack:
        yield lambda path, sector_size=512: stack.enter_context(loop_device(path, sector_size=sector_size))


def serve(server: MisbehavingServer, path: Path) -> str:
    """Serve a file well, and give its URL."""
    return server.on(f"/{path.name}", Serve(path.read_bytes(), etag='"1"'))
