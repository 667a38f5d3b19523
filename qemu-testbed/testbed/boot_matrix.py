"""Which image boots on which firmware from which disk: the cells of a table, and what is expected of each."""

from __future__ import annotations

from dataclasses import dataclass

from .image_form import Form
from .image_recipe import VARIANTS, FileSystem, ImageRecipe, UefiLoader, with_full_kernel
from .server_config import Bus, Firmware

NOT_ON_LEGACY = "The image can not boot on this server's legacy firmware."
NOT_ON_UEFI = "The image can not boot on this server's UEFI firmware."
NOT_ON_4096 = "The image can not be used on a disk with sectors of 4096 bytes."


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A kind of disk; size and sectors in bytes."""

    name: str
    bus: Bus
    size: int = 6 << 30
    logical_sector: int = 512


VIRTIO = Hardware(name="virtio", bus=Bus.VIRTIO)
SATA = Hardware(name="SATA", bus=Bus.SATA)
SCSI = Hardware(name="SCSI", bus=Bus.SCSI)
NVME = Hardware(name="NVMe", bus=Bus.NVME)
NVME_4KN = Hardware(name="4Kn NVMe", bus=Bus.NVME, logical_sector=4096)
# More than the 2 TiB that an MBR with sectors of 512 bytes addresses.
SCSI_3_TIB = Hardware(name="3 TiB SCSI", bus=Bus.SCSI, size=3 << 40)
ALL_HARDWARE = (VIRTIO, SATA, SCSI, NVME, NVME_4KN, SCSI_3_TIB)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One image on one server."""

    recipe: ImageRecipe
    firmware: Firmware
    hardware: Hardware
    form: Form = Form.QCOW2
    """The form in which the image is published."""
    staging: str = "auto"
    """What the agent is told of memory: `options.staging`."""

    @property
    def image(self) -> ImageRecipe:
        """The image that is deployed: for SATA the one with the kernel that has its driver."""
        return with_full_kernel(self.recipe) if self.hardware.bus is Bus.SATA else self.recipe

    @property
    def hostname(self) -> str:
        """A name of its own."""
        words = (self.recipe.name.removeprefix("debian-12-"), self.firmware, self.hardware.name)
        return "-".join(words).lower().replace(" ", "-")

    @property
    def refusal(self) -> str | None:
        """The message with which it has to be refused before anything is written; None where it boots."""
        recipe, sectors = self.recipe, self.hardware.logical_sector
        # The file systems are looked at first, whatever the firmware is.
        if sectors > recipe.logical_sector and recipe.file_system is FileSystem.XFS:
            return NOT_ON_4096
        if self.firmware is Firmware.LEGACY:
            # No BIOS starts a disk with large sectors.
            return None if recipe.legacy_boot and sectors == 512 else NOT_ON_LEGACY
        # Debian 12's systemd-boot is signed by nobody.
        unsigned = recipe.uefi_loader is UefiLoader.SYSTEMD_BOOT
        return NOT_ON_UEFI if self.firmware is Firmware.SECURE and unsigned else None


def row(recipe: ImageRecipe, firmware: Firmware) -> tuple[Cell, ...]:
    """All cells of one image on one firmware."""
    return tuple(Cell(recipe=recipe, firmware=firmware, hardware=hardware) for hardware in ALL_HARDWARE)


def whole_matrix() -> tuple[Cell, ...]:
    """Every cell there is."""
    return tuple(cell for recipe in VARIANTS for firmware in Firmware for cell in row(recipe, firmware))
