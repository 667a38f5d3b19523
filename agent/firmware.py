"""Which firmware the server starts with."""

from enum import StrEnum
from pathlib import Path

from agent.request.model import BootType


class Firmware(StrEnum):
    """How the server finds what to start."""

    LEGACY = "legacy"
    UEFI = "uefi"


def running_firmware(sys_root: Path = Path("/sys")) -> Firmware:
    """Tell what this system was started by: the kernel shows UEFI's tables only when it was UEFI."""
    return Firmware.UEFI if (sys_root / "firmware/efi").is_dir() else Firmware.LEGACY


def firmware_for(boot_type: BootType, *, disk_is_of_server: bool) -> Firmware | None:
    """Give the firmware that has to be able to start the disk; None where either will do.

    A regular file or a loop device belongs to no server, so ``auto`` asks only that the image boots in one
    way or another.
    """
    match boot_type:
        case BootType.LEGACY:
            return Firmware.LEGACY
        case BootType.UEFI:
            return Firmware.UEFI
    return running_firmware() if disk_is_of_server else None
