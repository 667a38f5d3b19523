"""Where a disk is plugged in, told from its directory in sysfs: transport, controller, location.

The location is written the way udev's path_id builtin writes ID_PATH (systemd, udev-builtin-path_id.c),
so that it is the same with and without a udev daemon for the usual disks.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from partitioning.sysfs import BlockNode, read_attribute

_PCI = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_SCSI = re.compile(r"(\d+):(\d+):(\d+):(\d+)")
_WHERE_NUMBERS_BEGIN = re.compile(r"(ata|host|virtio|usb)\d+|mmc_host|nvme|block")
_TOKEN = re.compile(rf"({_PCI.pattern}|\d+)")

# With these every disk is a PCI function of its own: the controller that a group shares is the transport.
_ONE_DISK_A_CONTROLLER = frozenset({"nvme", "virtio", "xen"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwarePath:
    """Where a disk is plugged in."""

    transport: str | None
    controller: str
    location: str


def hardware_path(node: BlockNode) -> HardwarePath:
    """Tell where the disk ``node`` is plugged in."""
    directory = _physical(node)
    parts = directory.parts
    transport = _transport(directory)
    slot = _slot(parts)
    controller = transport if transport in _ONE_DISK_A_CONTROLLER else slot
    return HardwarePath(
        transport=transport, controller=controller or "", location=slot + _port(node, directory)
    )


def location_order(location: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key for locations: numbers by their value, PCI addresses (hexadecimal) as they are."""
    return tuple(
        (0, int(token), "") if token.isdecimal() else (1, 0, token)
        for token in _TOKEN.split(location)
        if token
    )


def _physical(node: BlockNode) -> Path:
    """Give the directory below the controller.

    With the kernel's own NVMe multipath a namespace stands under devices/virtual; its controllers are
    links in the subsystem's directory.
    """
    parent = node.directory.parent
    if not parent.name.startswith("nvme-subsys"):
        return node.directory
    controllers = (link.resolve() for link in parent.glob("nvme*") if re.fullmatch(r"nvme\d+", link.name))
    return min((path / node.name for path in controllers), key=str, default=node.directory)


def _transport(directory: Path) -> str | None:
    parts = directory.parts
    # What hangs on USB is first of all that, whatever protocol the bridge speaks.
    if any(re.fullmatch(r"usb\d+", part) for part in parts):
        return "usb"
    if any(re.fullmatch(r"ata\d+", part) for part in parts):
        return "ide" if _driver(directory).startswith(("pata_", "ata_piix")) else "sata"
    if any(part.startswith(("end_device-", "sas_device")) for part in parts):
        return "sas"
    if any(re.fullmatch(r"host\d+", part) for part in parts):
        return "scsi"
    return _transport_by_name(directory)


def _transport_by_name(directory: Path) -> str | None:
    for start, transport in (("nvme", "nvme"), ("mmcblk", "mmc"), ("xvd", "xen"), ("vd", "virtio")):
        if directory.name.startswith(start):
            return transport
    return None


def _driver(directory: Path) -> str:
    for parent in directory.parents:
        if _PCI.fullmatch(parent.name):
            return (parent / "driver").resolve().name
    return ""


def _slot(parts: tuple[str, ...]) -> str:
    """Give the PCI address of the controller; on a board without PCI, the platform device."""
    addresses = [part for part in parts if _PCI.fullmatch(part)]
    if addresses:
        return f"pci-{addresses[-1]}"
    fixed: list[str] = []
    for part in parts[parts.index("devices") + 1 :] if "devices" in parts else ():
        if _WHERE_NUMBERS_BEGIN.fullmatch(part):
            break
        fixed.append(part)
    return "-".join(fixed)


def _port(node: BlockNode, directory: Path) -> str:
    for parent in directory.parents:
        if re.fullmatch(r"ata\d+", parent.name):
            # ataN counts over all controllers in the order they were found; port_no does not.
            port = read_attribute(parent / "ata_port" / parent.name / "port_no")
            return f"-ata-{port or parent.name.removeprefix('ata')}"
    nsid = node.read("nsid")
    return f"-nvme-{nsid}" if nsid else _scsi_port(directory)


def _scsi_port(directory: Path) -> str:
    for parent in directory.parents:
        address = _SCSI.fullmatch(parent.name)
        if address:
            host = int(address[1]) - _first_host(parent)
            return f"-scsi-{host}:{address[2]}:{address[3]}:{address[4]}"
    return ""


def _first_host(directory: Path) -> int:
    """Give the lowest host number of the same controller; host numbers differ from boot to boot."""
    for parent in directory.parents:
        if re.fullmatch(r"host\d+", parent.name):
            numbers = [int(path.name[4:]) for path in parent.parent.glob("host*") if path.name[4:].isdigit()]
            return min(numbers, default=0)
    return 0
