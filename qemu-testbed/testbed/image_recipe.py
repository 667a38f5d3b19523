"""What a cloud image consists of, as data: a new kind of image is a new value here, not new code.

The order and the numbers of the partitions are those of Debian's own cloud images: the root partition is
number 1 and lies last, so that it can grow.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from enum import StrEnum

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


# The Discoverable Partitions Specification has the GPT types; an MBR knows no BIOS boot partition.
_TYPES = {
    (Table.GPT, Role.BIOS_BOOT): "21686148-6449-6E6F-744E-656564454649",
    (Table.GPT, Role.ESP): "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    (Table.GPT, Role.ROOT): "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
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
    """A whole image. `legacy_boot` puts GRUB into the MBR; an ESP among the partitions gets shim and GRUB."""

    name: str
    table: Table
    partitions: tuple[Partition, ...]
    legacy_boot: bool
    size_mib: int = 2048
    kernel_package: str = CLOUD_KERNEL

    def partition(self, role: Role) -> Partition | None:
        """The partition with this role."""
        return next((partition for partition in self.partitions if partition.role is role), None)

    @property
    def root(self) -> Partition:
        """The root partition, which every image has."""
        found = self.partition(Role.ROOT)
        assert found is not None
        return found

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
FULL = replace(GENERIC, name="debian-12-full-kernel", kernel_package=FULL_KERNEL)
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
RECIPES = {recipe.name: recipe for recipe in (GENERIC, FULL, LEGACY_ONLY, MBR)}
