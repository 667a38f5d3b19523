import platform
from pathlib import Path

import pytest

from agent import firmware
from agent.firmware import Firmware, firmware_for, running_firmware
from agent.images import boot_fit
from agent.images.boot_fit import BootFit
from agent.images.errors import NotBootable
from agent.request.model import BootType
from configdrive.fat_image import build_fat
from partitioning.byte_access import BytesReader
from partitioning.partition_types import BIOS_BOOT
from partitioning.table import read_table
from partitioning.uefi import names as efi_names
from tests.small_images import program
from tests.table_samples import ESP, Part, gpt_disk
from tests.unit.test_images_common import MIB, tiny_image

SECTORS = 4 * MIB // 512
LOADER = "BOOTAA64.EFI" if platform.machine() == "aarch64" else "BOOTX64.EFI"
LOADER_CONTENT = program(machine=0xAA64 if platform.machine() == "aarch64" else 0x8664)
NO_LOADER = f"UEFI: the EFI system partition (number 1) has no loader at \\EFI\\BOOT\\{LOADER}."
ESP_PART, BIOS_PART = Part(2048, 4095, ESP), Part(34, 100, BIOS_BOOT)


def esp(*names: str, content: bytes = LOADER_CONTENT) -> bytes:
    return build_fat({f"EFI/BOOT/{name}": content for name in names}, 512, MIB)


def fit_of(*parts: Part, boot_code: bytes = b"code", esp_content: bytes = b"", bios: bytes = b"") -> BootFit:
    """What there is for each firmware in a GPT image with these partitions."""
    disk = bytearray(gpt_disk(SECTORS, parts, boot_code=boot_code))
    start = ESP_PART.first * 512
    disk[start : start + len(esp_content)] = esp_content
    disk[BIOS_PART.first * 512 : BIOS_PART.first * 512 + 512] = bios.ljust(512, b"\0")
    reader = BytesReader(bytes(disk))
    return boot_fit.boot_fit(reader, read_table(reader, 512))


def test_an_image_for_either_firmware() -> None:
    fit = fit_of(BIOS_PART, ESP_PART, bios=b"core", esp_content=esp(LOADER))
    assert fit == BootFit(legacy=None, uefi=None)


@pytest.mark.parametrize("names", [[LOADER], [LOADER.lower()], ["SHIMX64.EFI", LOADER]])
def test_an_esp_with_a_loader(names: list[str]) -> None:
    assert fit_of(ESP_PART, esp_content=esp(*names)).uefi is None


@pytest.mark.parametrize(
    "content",
    [
        esp("GRUBX64.EFI"),
        esp(LOADER, content=b""),
        esp(LOADER, content=b"MZ, but no program"),
        build_fat({f"EFI/BOOT/{LOADER}/x": b""}, 512, MIB),
    ],
)
def test_an_esp_without_a_loader(content: bytes) -> None:
    assert fit_of(ESP_PART, esp_content=content).uefi == NO_LOADER


def test_an_esp_that_can_not_be_read() -> None:
    reason = fit_of(ESP_PART, esp_content=bytes(MIB)).uefi
    assert reason is not None
    assert reason.startswith("UEFI: the EFI system partition (number 1) can not be read: ")


def test_no_esp() -> None:
    assert fit_of(BIOS_PART, bios=b"core").uefi == "UEFI: the image has no EFI system partition."


def test_one_good_esp_of_two_is_enough() -> None:
    empty = Part(34, 100, ESP)
    assert fit_of(empty, ESP_PART, esp_content=esp(LOADER)).uefi is None


def test_legacy_firmware_starts_no_disk_with_large_sectors() -> None:
    disk = gpt_disk(SECTORS // 8, [Part(256, 511)], boot_code=b"code", sector_size=4096)
    reader = BytesReader(disk)
    fit = boot_fit.boot_fit(reader, read_table(reader, 4096))
    assert fit.legacy == "Legacy: firmware of this kind starts no disk with sectors of 4096 bytes."


def test_boot_code() -> None:
    assert fit_of(boot_code=b"\1").legacy is None
    assert fit_of(boot_code=b"").legacy == "Legacy: there is no boot code in the image's first sector."


def test_a_bios_boot_partition_goes_on_from_there() -> None:
    assert fit_of(BIOS_PART, bios=b"core").legacy is None
    assert fit_of(BIOS_PART).legacy == "Legacy: the BIOS boot partition (number 1) is empty."


def test_an_image_with_an_mbr() -> None:
    for code, legacy in ((b"\1", None), (b"", "Legacy: there is no boot code in the image's first sector.")):
        reader = BytesReader(tiny_image(boot_code=code))
        fit = boot_fit.boot_fit(reader, read_table(reader, 512))
        assert fit == BootFit(legacy=legacy, uefi="UEFI: the image has no EFI system partition.")


@pytest.mark.parametrize("wanted", [Firmware.LEGACY, Firmware.UEFI, None])
def test_what_boots_is_let_pass(wanted: Firmware | None) -> None:
    boot_fit.require(BootFit(legacy=None, uefi=None), wanted)


def test_what_boots_in_one_way_is_enough_where_either_will_do() -> None:
    boot_fit.require(BootFit(legacy="l", uefi=None), None)
    boot_fit.require(BootFit(legacy=None, uefi="u"), None)


@pytest.mark.parametrize(
    ("wanted", "message", "detail"),
    [
        (Firmware.LEGACY, "The image can not boot on this server's legacy firmware.", "Legacy."),
        (Firmware.UEFI, "The image can not boot on this server's UEFI firmware.", "Uefi."),
        (None, "The image can not boot on any firmware.", "Legacy. Uefi."),
    ],
)
def test_what_does_not_boot_is_refused(wanted: Firmware | None, message: str, detail: str) -> None:
    with pytest.raises(NotBootable) as caught:
        boot_fit.require(BootFit(legacy="Legacy.", uefi="Uefi."), wanted)
    assert (caught.value.message, caught.value.detail) == (message, detail)
    assert "bootType" in caught.value.hint


@pytest.mark.parametrize(
    ("machine", "name"), [("x86_64", "BOOTX64.EFI"), ("aarch64", "BOOTAA64.EFI"), ("riscv", "BOOTX64.EFI")]
)
def test_the_fallback_loader(monkeypatch: pytest.MonkeyPatch, machine: str, name: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert efi_names.fallback_name() == name


def test_the_running_firmware(tmp_path: Path) -> None:
    assert running_firmware(tmp_path) is Firmware.LEGACY
    (tmp_path / "firmware/efi").mkdir(parents=True)
    assert running_firmware(tmp_path) is Firmware.UEFI


def test_the_firmware_that_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    for of_server in (True, False):
        assert firmware_for(BootType.LEGACY, disk_is_of_server=of_server) is Firmware.LEGACY
        assert firmware_for(BootType.UEFI, disk_is_of_server=of_server) is Firmware.UEFI
    for running in Firmware:
        monkeypatch.setattr(firmware, "running_firmware", lambda running=running: running)
        assert firmware_for(BootType.AUTO, disk_is_of_server=True) is running
        assert firmware_for(BootType.AUTO, disk_is_of_server=False) is None
