"""Carries out cells of the boot matrix: deploys in one rescue system, judges the disks, boots each."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .boot_matrix import Cell
from .build import CHECKOUT
from .deployment import deploy, paths_by_serial, request_for, used_disk, wait_for_cloud_init
from .errors import TestbedError
from .file_server import FileServer
from .image_file import ImageFile
from .image_form import published
from .image_recipe import CLOUD_KERNEL, FULL_KERNEL
from .judge_disk import judge
from .keys import KeyPair, generate
from .rescue import RescueSystem, rescue_system
from .sample_image import SampleImage, sample_image
from .server_config import Bus, Disk, Firmware, ServerConfig
from .ssh import SshConnection
from .vm import VirtualServer

_BOOT_SECONDS = 300.0
_SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
_MIB = 1 << 20
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a cell: `refused` is the message with which it was refused, None where it booted."""

    cell: Cell
    refused: str | None
    detail: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """One disk for each cell, and what is deployed to it."""

    cell: Cell
    image: SampleImage
    disk: Disk


def run_cells(cells: Sequence[Cell], *, tell: Tell = print) -> Iterator[Outcome]:
    """Deploy all cells, which are of one firmware, in one rescue system; then boot one disk after the other.

    Whatever is not as expected raises TestbedError.
    """
    with tempfile.TemporaryDirectory(prefix="byoi-matrix-") as name:
        directory = Path(name)
        key = generate(directory, comment="user")
        benches = [_bench(cell, directory) for cell in cells]
        refusals = _deploy_all(benches, directory, key, tell)
        for bench in benches:
            begun = time.monotonic()
            refused, detail = refusals.get(bench.cell, (None, ""))
            if refused is None:
                detail = _boot(bench, key)
            seconds = time.monotonic() - begun
            tell(f"{bench.cell.hostname}: {refused or 'boots'} ({detail}; {seconds:.0f} s)")
            bench.disk.path.unlink()
            yield Outcome(cell=bench.cell, refused=refused, detail=detail, seconds=seconds)


def _bench(cell: Cell, directory: Path) -> _Bench:
    path = used_disk(directory / f"{cell.hostname}.raw", cell.hardware.size)
    sector = cell.hardware.logical_sector
    # The serial number is what finds the disk in the rescue system; 20 characters is what all buses carry.
    serial = hashlib.sha256(cell.hostname.encode()).hexdigest()[:12].upper()
    disk = Disk(
        path=path, bus=cell.hardware.bus, serial=serial, logical_sector=sector, physical_sector=sector
    )
    return _Bench(cell=cell, image=sample_image(cell.image), disk=disk)


def _deploy_all(
    benches: Sequence[_Bench], directory: Path, key: KeyPair, tell: Tell
) -> dict[Cell, tuple[str, str]]:
    """Deploy to each disk, and give message and detail of those that were refused."""
    rescue = _rescue_for(benches)
    config = ServerConfig(
        name="matrix-rescue",
        firmware=benches[0].cell.firmware,
        disks=tuple(bench.disk for bench in benches),
        kernel_boot=rescue.boot(),
        firmware_variables=directory / "rescue-variables.fd",
    )
    refused: dict[Cell, tuple[str, str]] = {}
    files = {bench.cell: published(bench.image.qcow2, bench.cell.form, directory) for bench in benches}
    with _served(files.values(), directory) as server_of, VirtualServer(config) as server:
        shell = server.wait_for_ssh(rescue.key, timeout=_BOOT_SECONDS)
        paths = paths_by_serial(shell)
        for bench in benches:
            tell(f"{bench.cell.hostname}: deploying")
            before = _ends(bench.disk.path)
            outcome = _deploy(bench, files[bench.cell], shell, server_of, paths[bench.disk.serial], key)
            if outcome is not None:
                refused[bench.cell] = outcome
                _require(_ends(bench.disk.path) == before, f"{bench.cell.hostname}: the disk was changed")
        server.power_off(timeout=_BOOT_SECONDS)
    for bench in benches:
        if bench.cell not in refused:
            _judge(bench)
    return refused


def _rescue_for(benches: Sequence[_Bench]) -> RescueSystem:
    has_sata = any(bench.disk.bus is Bus.SATA for bench in benches)
    return rescue_system(CHECKOUT, kernel_package=FULL_KERNEL if has_sata else CLOUD_KERNEL)


@contextmanager
def _served(files: Iterable[ImageFile], directory: Path) -> Iterator[FileServer]:
    links = directory / "images"
    links.mkdir()
    for path in {file.path for file in files}:
        (links / path.name).symlink_to(path)
    with FileServer(links) as server:
        yield server


def _deploy(
    bench: _Bench, image: ImageFile, shell: SshConnection, server: FileServer, path: str, key: KeyPair
) -> tuple[str, str] | None:
    cell = bench.cell
    request = request_for(image, server.url(image.path.name), hostname=cell.hostname, ssh_key=key.public)
    run = deploy(shell, request, "--disk", path, "--staging", cell.staging)
    message, detail = run.last.get("message"), str(run.last.get("detail"))
    if cell.refusal is None:
        _require(run.exit_code == 0, f"{cell.hostname}: {message} {detail}")
        return None
    _require(
        (run.exit_code, message, run.last.get("diskTouched")) == (3, cell.refusal, False),
        f"{cell.hostname} should have been refused: {run.exit_code} {message} {detail}",
    )
    return cell.refusal, detail


def _ends(path: Path) -> bytes:
    """What `used_disk` filled with random bytes, as a sum."""
    digest = hashlib.sha256()
    with path.open("rb") as disk:
        digest.update(disk.read(_MIB))
        disk.seek(-_MIB, 2)
        digest.update(disk.read(_MIB))
    return digest.digest()


def _judge(bench: _Bench) -> None:
    recipe = bench.cell.image
    try:
        judge(
            bench.disk.path,
            logical_sector=bench.disk.logical_sector,
            image=bench.image.raw().path,
            image_sector=recipe.logical_sector,
        )
    except TestbedError as error:
        raise TestbedError(f"{bench.cell.hostname}: {error}") from error


def _boot(bench: _Bench, key: KeyPair) -> str:
    """Boot from the disk alone, with an empty variable store, to the end of cloud-init."""
    config = ServerConfig(name=bench.cell.hostname, firmware=bench.cell.firmware, disks=(bench.disk,))
    with VirtualServer(config) as server:
        guest = server.wait_for_ssh(key, user="debian", timeout=_BOOT_SECONDS)
        errors = wait_for_cloud_init(guest, timeout=_BOOT_SECONDS)
        name = guest.output("hostname")
        firmware = _firmware_of(guest)
    _require(not errors, f"{bench.cell.hostname}: cloud-init noted {errors}")
    _require(name == bench.cell.hostname, f"{bench.cell.hostname}: the host name is {name}")
    wanted = bench.cell.firmware
    _require(firmware is wanted, f"{bench.cell.hostname}: started by {firmware}, not {wanted}")
    return "cloud-init finished, host name right"


def _firmware_of(guest: SshConnection) -> Firmware:
    if guest.run("test", "-d", "/sys/firmware/efi", expect=(0, 1)).exit_code != 0:
        return Firmware.LEGACY
    # One byte, behind four of attributes (UEFI specification 2.10, section 3.3).
    is_on = guest.output("od", "-An", "-tu1", _SECURE_BOOT).split()[4:] == ["1"]
    return Firmware.SECURE if is_on else Firmware.UEFI


def _require(holds: object, what: str) -> None:
    if not holds:
        raise TestbedError(what)
