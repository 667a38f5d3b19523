"""The command line of a virtual server."""

from itertools import pairwise
from pathlib import Path

import pytest
from testbed.errors import TestbedError
from testbed.qemu_command import FIRMWARE_VARIABLES, RunPaths, qemu_arguments
from testbed.server_config import BOOT_MODES, Bus, Disk, Firmware, ServerConfig

PATHS = RunPaths(
    qmp=Path("/run/qmp"),
    serial_socket=Path("/run/serial"),
    serial_log=Path("/run/serial.log"),
    firmware_log=Path("/run/firmware.log"),
    variables=Path("/run/variables.fd"),
)
ONE_OF_EACH = tuple(Disk(path=Path(f"/disks/{bus}"), bus=bus) for bus in Bus)


def arguments(**config: object) -> list[str]:
    server = ServerConfig(name="test", **config)  # type: ignore[arg-type]
    return qemu_arguments(server, PATHS, acceleration=(), terminal=False)


def values(given: list[str], option: str) -> list[str]:
    return [value for name, value in pairwise(given) if name == option]


def disk_devices(given: list[str]) -> list[str]:
    return [device for device in values(given, "-device") if "drive=drive" in device]


def test_the_modes_that_tests_run_in_are_legacy_and_uefi() -> None:
    assert BOOT_MODES == (Firmware.LEGACY, Firmware.UEFI)
    assert [firmware.is_uefi for firmware in Firmware] == [False, True, True]


def test_legacy_has_no_flash() -> None:
    given = arguments(firmware=Firmware.LEGACY)
    assert values(given, "-machine") == ["q35"]
    assert not any("pflash" in value for value in given)


@pytest.mark.parametrize("firmware", [Firmware.UEFI, Firmware.SECURE])
def test_uefi_has_its_code_read_only_and_its_variables(firmware: Firmware) -> None:
    code, variables = (value for value in values(arguments(firmware=firmware), "-drive") if "pflash" in value)
    assert "readonly=on" in code
    assert "readonly" not in variables
    assert variables.endswith("file=/run/variables.fd")


def test_secure_boot_guards_the_variables_with_smm() -> None:
    given = arguments(firmware=Firmware.SECURE)
    assert values(given, "-machine") == ["q35,smm=on"]
    assert "driver=cfi.pflash01,property=secure,value=on" in values(given, "-global")
    assert any("OVMF_CODE_4M.secboot.fd" in value for value in values(given, "-drive"))
    assert FIRMWARE_VARIABLES[Firmware.SECURE].name == "OVMF_VARS_4M.ms.fd"


def test_plain_uefi_has_no_guard() -> None:
    given = arguments(firmware=Firmware.UEFI)
    assert values(given, "-machine") == ["q35"]
    assert values(given, "-global") == []


def test_disks_boot_in_the_order_they_are_given_in() -> None:
    devices = disk_devices(arguments(disks=ONE_OF_EACH))
    assert [device.split(",")[0] for device in devices] == ["virtio-blk-pci", "ide-hd", "scsi-hd", "nvme"]
    assert [device.rpartition("bootindex=")[2] for device in devices] == ["1", "2", "3", "4"]


def test_the_firmware_can_be_left_to_decide() -> None:
    given = arguments(disks=ONE_OF_EACH, firmware_decides=True)
    assert len(disk_devices(given)) == len(ONE_OF_EACH)
    assert not any("bootindex" in value for value in given)


def test_sector_sizes_are_the_disks_own() -> None:
    large = Disk(path=Path("/disks/large"), bus=Bus.NVME, logical_sector=4096, physical_sector=4096)
    small = Disk(path=Path("/disks/small"), bus=Bus.NVME)
    devices = disk_devices(arguments(disks=(large, small)))
    assert "logical_block_size=4096,physical_block_size=4096" in devices[0]
    assert "logical_block_size=512,physical_block_size=512" in devices[1]


def test_a_sata_disk_with_other_sectors_is_refused() -> None:
    disk = Disk(path=Path("/disks/sata"), bus=Bus.SATA, logical_sector=4096)
    with pytest.raises(TestbedError, match="512"):
        arguments(disks=(disk,))


def test_a_seventh_sata_disk_is_refused() -> None:
    disks = tuple(Disk(path=Path(f"/disks/{number}"), bus=Bus.SATA) for number in range(7))
    assert len(disk_devices(arguments(disks=disks[:6]))) == 6
    with pytest.raises(TestbedError, match="6 SATA ports"):
        arguments(disks=disks)
