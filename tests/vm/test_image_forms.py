"""The same image in each form but qcow2, from memory or while it comes: the disk is the same, and boots.

What a whole system does that was packed so is in the boot matrix.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from testbed.command import run
from testbed.deployment import deploy, paths_by_serial, request_for, used_disk
from testbed.file_server import FileServer
from testbed.image_file import ImageFile
from testbed.image_form import Form, published
from testbed.judge_disk import judge
from testbed.rescue import RescueSystem
from testbed.server_config import Disk, ServerConfig
from testbed.ssh import SshConnection
from testbed.tiny_image import GREETING
from testbed.vm import VirtualServer

pytestmark = pytest.mark.vm

BOOT_SECONDS = 300.0
DISK_BYTES = 256 << 20
# The unit tests read each form both ways.
WAYS = [
    (Form.OVA, "stream"),
    (Form.RAW_GZIP, "memory"),
    (Form.RAW_XZ, "stream"),
    (Form.RAW_ZSTD, "memory"),
    (Form.RAW_BZIP2, "stream"),
]


def serial_of(form: Form, staging: str) -> str:
    return f"{form}-{staging}".upper().replace(".", "-")


@pytest.fixture(scope="module")
def targets(disks: Path) -> dict[str, Disk]:
    serials = [serial_of(*way) for way in WAYS]
    return {serial: Disk(path=used_disk(disks / serial, DISK_BYTES), serial=serial) for serial in serials}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, small_image: ImageFile) -> dict[Form, ImageFile]:
    directory = tmp_path_factory.mktemp("forms")
    return {form: published(small_image, form, directory) for form, _ in WAYS}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, files: dict[Form, ImageFile]) -> Iterator[FileServer]:
    directory = tmp_path_factory.mktemp("served")
    for file in files.values():
        (directory / file.path.name).symlink_to(file.path)
    with FileServer(directory) as running:
        yield running


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory, small_image: ImageFile) -> Path:
    path = tmp_path_factory.mktemp("raw") / "disk.raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", small_image.path, path)
    return path


def test_each_form_is_deployed_and_boots(
    rescue: RescueSystem,
    targets: dict[str, Disk],
    files: dict[Form, ImageFile],
    server: FileServer,
    raw: Path,
) -> None:
    config = ServerConfig(name="forms", disks=tuple(targets.values()), kernel_boot=rescue.boot())
    with VirtualServer(config) as machine:
        shell = machine.wait_for_ssh(rescue.key, timeout=BOOT_SECONDS)
        paths = paths_by_serial(shell)
        for form, staging in WAYS:
            deploy_to(shell, paths[serial_of(form, staging)], files[form], server, staging)
        machine.power_off(timeout=BOOT_SECONDS)
    for serial, disk in targets.items():
        judge(disk.path, logical_sector=512, image=raw, image_sector=512)
        with VirtualServer(ServerConfig(name=serial.lower(), disks=(disk,))) as machine:
            machine.wait_for_text(GREETING, timeout=60)


def deploy_to(shell: SshConnection, path: str, image: ImageFile, server: FileServer, staging: str) -> None:
    request = request_for(image, server.url(image.path.name), hostname="forms")
    ended = deploy(shell, request, "--disk", path, "--staging", staging)
    assert ended.exit_code == 0, f"{image.path.name} by {staging}: {ended.last}\n{ended.stderr}"
