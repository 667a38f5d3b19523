"""What a virtual server is made of, as frozen values; `qemu_command` turns them into QEMU's arguments."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Firmware(StrEnum):
    """How the server starts: SeaBIOS, or OVMF with its own variable store."""

    LEGACY = "legacy"
    UEFI = "uefi"


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
class ServerConfig:
    """A whole server.

    Without `kernel_boot` the firmware boots the first disk that will. `firmware_variables` is the UEFI
    variable store to use and keep (a server's own memory of boot entries); without it the store is fresh and
    thrown away.
    """

    name: str
    firmware: Firmware = Firmware.LEGACY
    memory_mib: int = 2048
    cpus: int = 2
    disks: tuple[Disk, ...] = ()
    kernel_boot: KernelBoot | None = None
    firmware_variables: Path | None = None
    restrict_network: bool = False
