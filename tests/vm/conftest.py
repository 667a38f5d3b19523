"""What every test in virtual servers needs: the rescue system, images, and a server for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.build import rescue_and_image
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.keys import KeyPair, generate
from testbed.rescue import RescueSystem
from testbed.sample_image import SampleImage
from testbed.tiny_image import tiny_image

Built = tuple[RescueSystem, SampleImage]


@pytest.fixture(scope="session")
def built() -> Built:
    return rescue_and_image()


@pytest.fixture(scope="session")
def rescue(built: Built) -> RescueSystem:
    return built[0]


@pytest.fixture(scope="session")
def cloud_image(built: Built) -> ImageFile:
    return built[1].qcow2


@pytest.fixture(scope="session")
def small_image() -> ImageFile:
    return tiny_image()


@pytest.fixture(scope="session")
def image_server(
    tmp_path_factory: pytest.TempPathFactory, cloud_image: ImageFile, small_image: ImageFile
) -> Iterator[FileServer]:
    """Serves all images from one directory of links."""
    directory = tmp_path_factory.mktemp("images")
    for image in (cloud_image, small_image):
        (directory / image.path.name).symlink_to(image.path)
    with FileServer(directory) as server:
        yield server


@pytest.fixture(scope="session")
def user_key(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """The key of the person who deploys, unknown to the rescue system."""
    return generate(tmp_path_factory.mktemp("user-key"), comment="user")


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for the module's disks. They are sparse, and gone with pytest's temporary directories."""
    return tmp_path_factory.mktemp("disks")
