"""Partition types this project knows by name: GPT type GUIDs and MBR type bytes.

GUIDs: UEFI 2.10 section 5.3.3 (table 5.7) and the UAPI Group's Discoverable Partitions Specification.
MBR types: UEFI 2.10 section 5.2.2 and the list kept by util-linux.
"""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class PartitionType:
    """One kind of content, and how each sort of table marks it."""

    name: str
    guid: UUID
    mbr: int


ESP = PartitionType("EFI system partition", UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b"), 0xEF)
LINUX_DATA = PartitionType("Linux file system", UUID("0fc63daf-8483-4772-8e79-3d69d8477de4"), 0x83)

BIOS_BOOT = UUID("21686148-6449-6e6f-744e-656564454649")
UNUSED = UUID(int=0)

MBR_UNUSED = 0x00
MBR_PROTECTIVE = 0xEE
MBR_EXTENDED = frozenset({0x05, 0x0F, 0x85})

_GUID_NAMES = {
    ESP.guid: ESP.name,
    LINUX_DATA.guid: LINUX_DATA.name,
    BIOS_BOOT: "BIOS boot partition",
    UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"): "Linux root (x86-64)",
    UUID("44479540-f297-41b2-9af7-d131d5f0458a"): "Linux root (x86)",
    UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"): "Linux root (arm64)",
    UUID("bc13c2ff-59e6-4262-a352-b275fd6f7172"): "Linux extended boot",
    UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"): "Linux swap",
    UUID("933ac7e1-2eb4-4f13-b844-0e14e2aef915"): "Linux home",
    UUID("a19d880f-05fc-4d3b-a006-743f0f84911e"): "Linux RAID",
    UUID("e6d6d379-f507-44c2-a23c-238f2a3df928"): "Linux LVM",
    UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"): "Microsoft basic data",
    UUID("e3c9e316-0b5c-4db8-817d-f92df00215ae"): "Microsoft reserved",
    UUID("de94bba4-06d1-4d40-a16a-bfd50179d6ac"): "Windows recovery",
    UUID("9e1a2d38-c612-4316-aa26-8b49521e5a8b"): "PowerPC PReP boot",
    UUID("516e7cb6-6ecf-11d6-8ff8-00022d09712b"): "FreeBSD UFS",
    UUID("516e7cba-6ecf-11d6-8ff8-00022d09712b"): "FreeBSD ZFS",
    UUID("83bd6b9d-7f41-11dc-be0b-001560b84f0f"): "FreeBSD boot",
    UUID("6a898cc3-1dd2-11b2-99a6-080020736631"): "ZFS",
}

_MBR_NAMES = {
    0x01: "FAT12",
    0x04: "FAT16 (small)",
    0x05: "extended",
    0x06: "FAT16",
    0x07: "NTFS or exFAT",
    0x0B: "FAT32",
    0x0C: "FAT32 (LBA)",
    0x0E: "FAT16 (LBA)",
    0x0F: "extended (LBA)",
    0x27: "Windows recovery",
    0x82: "Linux swap",
    0x83: "Linux file system",
    0x85: "Linux extended",
    0x8E: "Linux LVM",
    0xA5: "FreeBSD",
    0xA6: "OpenBSD",
    0xEE: "GPT protective",
    0xEF: ESP.name,
    0xFD: "Linux RAID",
}


def guid_name(guid: UUID) -> str:
    """Name a GPT partition type; an unknown one is named by its GUID."""
    return _GUID_NAMES.get(guid, str(guid))


def mbr_id(kind: int) -> str:
    """Write an MBR type byte the way it is usually written: ``0x83``."""
    return f"0x{kind:02x}"


def mbr_name(kind: int) -> str:
    """Name an MBR partition type; an unknown one is named by its number."""
    return _MBR_NAMES.get(kind, mbr_id(kind))
