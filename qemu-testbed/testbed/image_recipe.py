"""What a cloud image consists of, as data: a new kind of image is a new value here, not new code.

The order and the numbers of the partitions are those of Debian's own cloud images: the root partition (or
the one with the volume group that holds root) is number 1 and lies last, so that it can grow.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from enum import StrEnum

from .server_config import Firmware

_MIB = 1 << 20
# The cloud kernel has virtio, SCSI, NVMe and the old IDE, but no AHCI: a SATA disk needs the full one.
CLOUD_KERNEL = "linux-image-cloud-amd64"
FULL_KERNEL = "linux-image-amd64"
_NAMESPACE = uuid.UUID("6d1cc0f4-7b5b-4d4f-9d0e-3a2f7f0e5c51")


class Table(StrEnum):
    """The partition table, by sfdisk's names."""

    GPT = "gpt"
    MBR = "dos"


class Role(StrEnum):
    """What a partition is for."""

    BIOS_BOOT = "BIOS boot"
    ESP = "EFI system"
    ROOT = "root"
    LVM = "LVM"


class UefiLoader(StrEnum):
    """What the ESP holds. The shim is signed by Microsoft, Debian 12's systemd-boot by nobody."""

    SHIM_GRUB = "shim and GRUB"
    SYSTEMD_BOOT = "systemd-boot"


class FileSystem(StrEnum):
    """The root file system, by mount's names."""

    EXT4 = "ext4"
    XFS = "xfs"


# The Discoverable Partitions Specification has the GPT types; an MBR knows no BIOS boot partition.
_TYPES = {
    (Table.GPT, Role.BIOS_BOOT): "21686148-6449-6E6F-744E-656564454649",
    (Table.GPT, Role.ESP): "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    (Table.GPT, Role.ROOT): "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    (Table.GPT, Role.LVM): "E6D6D379-F507-44C2-A23C-238F2A3DF928",
    (Table.MBR, Role.ESP): "ef",
    (Table.MBR, Role.ROOT): "83",
}


@dataclass(frozen=True, kw_only=True)
class Partition:
    """One partition; start and size in MiB, `size_mib` None for all that is left."""

    role: Role
    number: int
    start_mib: int
    size_mib: int | None


@dataclass(frozen=True, kw_only=True)
class ImageRecipe:
    """A whole image, for disks with logical sectors of `logical_sector` bytes.

    `legacy_boot` puts GRUB into the MBR; an ESP among the partitions gets `uefi_loader`. In an LVM partition
    root is the logical volume `root` of the volume group `volume_group`.
    """

    name: str
    table: Table
    partitions: tuple[Partition, ...]
    legacy_boot: bool
    uefi_loader: UefiLoader = UefiLoader.SHIM_GRUB
    file_system: FileSystem = FileSystem.EXT4
    volume_group: str = "system"
    logical_sector: int = 512
    size_mib: int = 2048
    kernel_package: str = CLOUD_KERNEL

    def partition(self, role: Role) -> Partition | None:
        """The partition with this role."""
        return next((partition for partition in self.partitions if partition.role is role), None)

    @property
    def root(self) -> Partition:
        """The partition that root lies in, which every image has."""
        found = self.partition(Role.ROOT) or self.partition(Role.LVM)
        assert found is not None
        return found

    @property
    def on_lvm(self) -> bool:
        """Whether root is a logical volume."""
        return self.root.role is Role.LVM

    @property
    def root_device(self) -> str:
        """Root as the kernel's command line and fstab name it."""
        if self.on_lvm:
            return f"/dev/mapper/{self.volume_group}-root"
        return f"UUID={self.identity('root file system')}"

    @property
    def uses_grub(self) -> bool:
        """Whether GRUB starts it, under any firmware."""
        return self.legacy_boot or self.uefi_loader is UefiLoader.SHIM_GRUB

    @property
    def firmwares(self) -> tuple[Firmware, ...]:
        """Under which firmware the image boots as it is."""
        boots = {
            Firmware.LEGACY: self.legacy_boot,
            Firmware.UEFI: self.partition(Role.ESP) is not None,
            Firmware.SECURE: self.partition(Role.ESP) is not None
            and self.uefi_loader is UefiLoader.SHIM_GRUB,
        }
        return tuple(firmware for firmware in Firmware if boots[firmware])

    def type_of(self, partition: Partition) -> str:
        """The partition's type as the table writes it."""
        return _TYPES[self.table, partition.role]

    def bytes_of(self, partition: Partition) -> tuple[int, int]:
        """Start and size in bytes. The last MiB of the disk is left to the backup GPT."""
        size = partition.size_mib or self.size_mib - 1 - partition.start_mib
        return partition.start_mib * _MIB, size * _MIB

    def identity(self, what: str) -> uuid.UUID:
        """A UUID for a part of the image, the same in every build."""
        return uuid.uuid5(_NAMESPACE, f"{self.name}/{what}")

    @property
    def esp_volume(self) -> int:
        """The ESP's FAT volume number, 32 bits, which is all the UUID that a FAT has."""
        return self.identity("ESP").int & 0xFFFFFFFF


def with_full_kernel(recipe: ImageRecipe) -> ImageRecipe:
    """The same image with the drivers of real servers, for SATA disks among others."""
    if recipe.kernel_package == FULL_KERNEL:
        return recipe
    return replace(recipe, name=f"{recipe.name}-full-kernel", kernel_package=FULL_KERNEL)


GENERIC = ImageRecipe(
    name="debian-12-generic",
    table=Table.GPT,
    legacy_boot=True,
    partitions=(
        Partition(role=Role.BIOS_BOOT, number=14, start_mib=1, size_mib=3),
        Partition(role=Role.ESP, number=15, start_mib=4, size_mib=124),
        Partition(role=Role.ROOT, number=1, start_mib=128, size_mib=None),
    ),
)
FULL = with_full_kernel(GENERIC)
LEGACY_ONLY = ImageRecipe(
    name="debian-12-legacy",
    table=Table.GPT,
    legacy_boot=True,
    partitions=(
        Partition(role=Role.BIOS_BOOT, number=14, start_mib=1, size_mib=3),
        Partition(role=Role.ROOT, number=1, start_mib=4, size_mib=None),
    ),
)
MBR = ImageRecipe(
    name="debian-12-mbr",
    table=Table.MBR,
    legacy_boot=True,
    partitions=(Partition(role=Role.ROOT, number=1, start_mib=1, size_mib=None),),
)
# The ESP has room for two kernels, as an upgrade needs it.
UEFI_ONLY = ImageRecipe(
    name="debian-12-uefi",
    table=Table.GPT,
    legacy_boot=False,
    uefi_loader=UefiLoader.SYSTEMD_BOOT,
    partitions=(
        Partition(role=Role.ESP, number=15, start_mib=1, size_mib=255),
        Partition(role=Role.ROOT, number=1, start_mib=256, size_mib=None),
    ),
)
# FAT32 has at least 65525 clusters (Microsoft's FAT specification, section 3.5), here of 4096 bytes: 256 MiB.
SECTORS_4096 = ImageRecipe(
    name="debian-12-4096",
    table=Table.GPT,
    legacy_boot=False,
    logical_sector=4096,
    partitions=(
        Partition(role=Role.ESP, number=15, start_mib=1, size_mib=287),
        Partition(role=Role.ROOT, number=1, start_mib=288, size_mib=None),
    ),
)
LVM_XFS = ImageRecipe(
    name="debian-12-lvm-xfs",
    table=Table.GPT,
    legacy_boot=True,
    file_system=FileSystem.XFS,
    partitions=(
        Partition(role=Role.BIOS_BOOT, number=14, start_mib=1, size_mib=3),
        Partition(role=Role.LVM, number=1, start_mib=4, size_mib=None),
    ),
)
VARIANTS = (GENERIC, LEGACY_ONLY, MBR, UEFI_ONLY, SECTORS_4096, LVM_XFS)
# By name, each also with the full kernel. Nothing of it is built before it is asked for.
RECIPES = {recipe.name: recipe for variant in VARIANTS for recipe in (variant, with_full_kernel(variant))}
