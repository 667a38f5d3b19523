"""One disk's facts: from the udev database where there is one, else from sysfs itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from partitioning.disks import Disk, DiskKind, IgnoredReason
from partitioning.hardware_path import hardware_path
from partitioning.sysfs import BlockNode

_ESCAPED = re.compile(r"((?:\\x[0-9a-f]{2})+)")
# A worldwide name proper. "t10." and "nvme." names are made of model and serial number and prove less.
_WORLDWIDE = re.compile(r"(?:naa\.|eui\.|uuid\.|0x)(\S+)")
# device/state and device/access_state of a SCSI path that takes no I/O (drivers/scsi/scsi_sysfs.c).
_DEAD_STATES = frozenset({"offline", "transport-offline", "blocked", "quiesce", "deleted", "cancel"})
_DEAD_ACCESS = frozenset({"standby", "unavailable", "offline", "transitioning"})
_VPD_HEADER = 4
# Block devices that are no disk one could look for: memory, files, optical drives, floppies, compositions
# of other devices, network devices, and the boot and key areas of an eMMC.
_NEVER_DISKS = re.compile(
    r"(zram|ram|loop|sr|scd|fd|md|dm-|nbd|rbd|drbd|bcache|zd|ublkb|mtdblock|pmem|btt)\d.*"
    r"|mmcblk\d+(boot\d+|rpmb|gp\d+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known beside sysfs: the udev database by sysname, and the disks the running system uses."""

    properties: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    running_system: Mapping[str, str] = field(default_factory=dict)


def is_disk(node: BlockNode) -> bool:
    """Tell whether a whole block device is a disk a person would look for."""
    # A hidden device is one path of a multipath NVMe namespace; it can not be opened.
    if _NEVER_DISKS.fullmatch(node.name) or node.number("hidden") or node.size == 0:
        return False
    return "/devices/virtual/" not in str(node.directory) or node.name.startswith("nvme")


def describe_disk(node: BlockNode, surroundings: Surroundings) -> Disk:
    """Gather what is known about the disk ``node``."""
    udev = surroundings.properties.get(node.name, {})
    where = hardware_path(node)
    sector_size = node.number("queue/logical_block_size")
    return Disk(
        path=Path(node.device_name),
        sysname=node.name,
        devno=node.devno,
        diskseq=node.number("diskseq") or None,
        by_id=_links(udev, "/dev/disk/by-id/"),
        by_path=_links(udev, "/dev/disk/by-path/"),
        model=_model(node, udev),
        serial=_serial(node, udev),
        wwn=_wwn(node, udev),
        size=node.size,
        sector_size=sector_size,
        physical_sector_size=node.number("queue/physical_block_size") or sector_size,
        rotational=bool(node.number("queue/rotational")),
        transport=where.transport,
        removable=bool(node.number("removable")),
        kind=_kind(node, where.transport),
        controller=where.controller,
        location=udev.get("ID_PATH") or where.location,
        ignored=_ignored(node, where.transport, udev, surroundings),
    )


def worldwide_name(text: str) -> str:
    """Reduce a worldwide name to its digits: naa.5000…, 0x5000… and wwn-0x5000… are the same."""
    name = text.strip().lower().removeprefix("wwn-")
    match = _WORLDWIDE.fullmatch(name)
    return match[1] if match else name


def _links(udev: Mapping[str, str], directory: str) -> tuple[str, ...]:
    return tuple(sorted(link for link in udev.get("DEVLINKS", "").split() if link.startswith(directory)))


def _model(node: BlockNode, udev: Mapping[str, str]) -> str | None:
    encoded = udev.get("ID_MODEL_ENC")
    if encoded:
        return " ".join(_decode(encoded).split()) or None
    # sysfs has 16 characters for SCSI and SATA, udev all of them.
    name = udev.get("ID_MODEL", "").replace("_", " ") or node.read("device/model") or node.read("device/name")
    return " ".join((name or "").split()) or None


def _decode(encoded: str) -> str:
    r"""Undo udev's encoding of blanks and others as ``\x20``."""
    return _ESCAPED.sub(
        lambda match: bytes.fromhex(match[1].replace("\\x", "")).decode(errors="replace"), encoded
    )


def _serial(node: BlockNode, udev: Mapping[str, str]) -> str | None:
    # ID_SCSI_SERIAL is the drive's own; ID_SERIAL_SHORT of a SCSI disk is its worldwide name.
    for key in ("ID_SCSI_SERIAL", "ID_SERIAL_SHORT"):
        if udev.get(key):
            return udev[key].strip()
    # virtio-blk keeps it at the block device, NVMe and mmc at the device, SCSI in VPD page 0x80.
    return node.read("serial") or node.read("device/serial") or _unit_serial(node)


def _unit_serial(node: BlockNode) -> str | None:
    try:
        page = (node.directory / "device/vpd_pg80").read_bytes()
    except OSError:
        return None
    return page[_VPD_HEADER:].decode("ascii", errors="replace").strip("\0 ") or None


def _wwn(node: BlockNode, udev: Mapping[str, str]) -> str | None:
    # Without the extension, the volumes of one RAID controller all have the same.
    name = udev.get("ID_WWN_WITH_EXTENSION") or udev.get("ID_WWN")
    if name:
        return name
    name = node.read("wwid") or node.read("device/wwid")
    if name is None or not _WORLDWIDE.fullmatch(name):
        return None
    return name.replace("naa.", "0x")


def _kind(node: BlockNode, transport: str | None) -> DiskKind:
    if transport == "nvme":
        return DiskKind.NVME
    return DiskKind.HDD if node.number("queue/rotational") else DiskKind.SSD


def _ignored(
    node: BlockNode, transport: str | None, udev: Mapping[str, str], surroundings: Surroundings
) -> IgnoredReason | None:
    reasons = {
        IgnoredReason.RUNNING_SYSTEM: node.devno in surroundings.running_system,
        IgnoredReason.READ_ONLY: node.number("ro") != 0,
        IgnoredReason.USB: transport == "usb" or udev.get("ID_BUS") == "usb",
        IgnoredReason.REMOVABLE: node.number("removable") != 0 or node.read("device/type") == "SD",
        IgnoredReason.OFFLINE: _is_dead_path(node),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _is_dead_path(node: BlockNode) -> bool:
    return node.read("device/state") in _DEAD_STATES or node.read("device/access_state") in _DEAD_ACCESS
