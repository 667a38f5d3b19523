"""What a virtual server is made of, as frozen values; `qemu_command` turns them into QEMU's arguments."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Firmware(StrEnum):
    """How the server starts: SeaBIOS, or OVMF with its own variable store, free or in Secure Boot."""

    LEGACY = "legacy"
    UEFI = "uefi"
    SECURE = "uefi-secure"

    @property
    def is_uefi(self) -> bool:
        """Whether the system that it starts finds /sys/firmware/efi."""
        return self is not Firmware.LEGACY


_CPUS = 2

# The two ways to boot that a deployment tells apart. Secure Boot is the second of them with a policy on top.
BOOT_MODES = (Firmware.LEGACY, Firmware.UEFI)


class Bus(StrEnum):
    """What a disk hangs on."""

    VIRTIO = "virtio"
    SATA = "sata"
    SCSI = "scsi"
    NVME = "nvme"


class ImageFormat(StrEnum):
    """The format of the file behind a disk."""

    RAW = "raw"
    QCOW2 = "qcow2"


class CacheMode(StrEnum):
    """QEMU's cache modes. UNSAFE is fastest and loses everything not yet written if QEMU is killed."""

    UNSAFE = "unsafe"
    WRITEBACK = "writeback"
    WRITETHROUGH = "writethrough"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Disk:
    """One disk. Sector sizes in bytes; `serial` is what the guest reads as the drive's serial number."""

    path: Path
    format: ImageFormat = ImageFormat.RAW
    bus: Bus = Bus.VIRTIO
    serial: str = ""
    logical_sector: int = 512
    physical_sector: int = 512
    cache: CacheMode = CacheMode.UNSAFE


@dataclass(frozen=True, kw_only=True)
class KernelBoot:
    """A kernel that QEMU starts itself, as a network boot would; the disks are not asked."""

    kernel: Path
    initrd: Path
    append: str


@dataclass(frozen=True, kw_only=True)
class NetworkBoot:
    """What the network gives to a server whose disks do not boot: DHCP names a file, TFTP has it."""

    directory: Path
    file: str


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """A whole server.

    It starts from what comes first: `kernel_boot`; else a disk that boots; else `medium`, an ISO in its CD
    drive; else `network_boot`, by its network card's iPXE.

    Without `kernel_boot` the firmware boots from the disks in their order: SeaBIOS from the first and no
    other, OVMF from the first that will. For that OVMF rewrites BootOrder at every start; with
    `firmware_decides` it is told of no order, and what a system wrote there counts. `firmware_variables` is
    the UEFI variable store to use and keep (a server's own memory of boot entries), made where it does not
    exist; without it the store is fresh and thrown away. A store belongs to the firmware it was made for.
    """

    name: str
    firmware: Firmware = Firmware.LEGACY
    memory_mib: int = 2048
    cpus: int = field(default_factory=lambda: int(os.environ.get("BYOI_CPUS", _CPUS)))
    disks: tuple[Disk, ...] = ()
    kernel_boot: KernelBoot | None = None
    medium: Path | None = None
    network_boot: NetworkBoot | None = None
    firmware_decides: bool = False
    firmware_variables: Path | None = None
    restrict_network: bool = False
