"""Builds the QEMU command line of a virtual server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import TestbedError
from .server_config import Bus, Disk, Firmware, ServerConfig

QEMU = "qemu-system-x86_64"
_OVMF = Path("/usr/share/OVMF")
_FIRMWARE_CODE = {
    Firmware.UEFI: _OVMF / "OVMF_CODE_4M.fd",
    Firmware.SECURE: _OVMF / "OVMF_CODE_4M.secboot.fd",
}
# What a new server's variable store is copied from. The one for Secure Boot has Microsoft's keys enrolled.
FIRMWARE_VARIABLES = {
    Firmware.UEFI: _OVMF / "OVMF_VARS_4M.fd",
    Firmware.SECURE: _OVMF / "OVMF_VARS_4M.ms.fd",
}
NETWORK_ID = "net0"
_SATA_PORTS = 6
_SATA_SECTOR = 512


@dataclass(frozen=True, kw_only=True)
class RunPaths:
    """The files that belong to one run of a server."""

    qmp: Path
    serial_socket: Path
    serial_log: Path
    firmware_log: Path
    variables: Path


def qemu_arguments(
    config: ServerConfig, paths: RunPaths, *, acceleration: tuple[str, ...], terminal: bool
) -> list[str]:
    """The whole argument list. With `terminal` the serial console is on QEMU's standard input and output."""
    return [
        QEMU,
        *("-name", config.name, "-nodefaults", "-no-user-config", "-machine", _machine(config.firmware)),
        *acceleration,
        *("-m", str(config.memory_mib), "-smp", str(config.cpus)),
        *("-display", "none", "-vga", "none"),
        *("-qmp", f"unix:{_escaped(paths.qmp)},server=on,wait=off"),
        *_serial(paths, terminal=terminal),
        *_firmware(config, paths),
        *_network(config),
        *_kernel(config),
        *("-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"),
        *_disks(config),
        *_medium(config),
    ]


def _machine(firmware: Firmware) -> str:
    # Without SMM the guest could write the variable store past the firmware, and this OVMF does not start.
    return "q35,smm=on" if firmware is Firmware.SECURE else "q35"


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")


def _serial(paths: RunPaths, *, terminal: bool) -> list[str]:
    log = f"logfile={_escaped(paths.serial_log)},logappend=off"
    backend = (
        "stdio,id=serial0,mux=on,signal=off"
        if terminal
        else (f"socket,id=serial0,path={_escaped(paths.serial_socket)},server=on,wait=off")
    )
    monitor = ["-mon", "chardev=serial0"] if terminal else []
    return ["-chardev", f"{backend},{log}", "-serial", "chardev:serial0", *monitor]


def _firmware(config: ServerConfig, paths: RunPaths) -> list[str]:
    if config.firmware is Firmware.LEGACY:
        # Where SeaBIOS tells what it tries to boot from (docs/specs in QEMU: isa-debugcon).
        log = f"file,id=firmware,path={_escaped(paths.firmware_log)}"
        return ["-chardev", log, "-device", "isa-debugcon,iobase=0x402,chardev=firmware"]
    only_from_smm = ["-global", "driver=cfi.pflash01,property=secure,value=on"]
    return [
        *(only_from_smm if config.firmware is Firmware.SECURE else ()),
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_FIRMWARE_CODE[config.firmware]}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={_escaped(paths.variables)}"),
    ]


def _network(config: ServerConfig) -> list[str]:
    # Port 0: the system picks a free one, and `info usernet` tells which. No race for it between two servers.
    restrict = "on" if config.restrict_network else "off"
    backend = f"user,id={NETWORK_ID},ipv6=off,restrict={restrict},hostfwd=tcp:127.0.0.1:0-:22"
    # Without the network boot ROM, which is iPXE, the firmware does not try to boot from the network.
    card = f"virtio-net-pci,netdev={NETWORK_ID}"
    if (boot := config.network_boot) is None:
        card += ",romfile="
    else:
        backend += f",tftp={_escaped(boot.directory)},bootfile={boot.file}"
        card += f",bootindex={len(config.disks) + 2}"
    return ["-netdev", backend, "-device", card]


def _kernel(config: ServerConfig) -> list[str]:
    boot = config.kernel_boot
    if boot is None:
        return []
    return ["-kernel", str(boot.kernel), "-initrd", str(boot.initrd), "-append", boot.append]


def _disks(config: ServerConfig) -> Iterator[str]:
    buses = [disk.bus for disk in config.disks]
    free_ports = _SATA_PORTS - (config.medium is not None)
    if buses.count(Bus.SATA) > free_ports:
        raise TestbedError(f"the machine has {free_ports} SATA ports for disks, not more")
    if any(disk.bus is Bus.SATA and disk.logical_sector != _SATA_SECTOR for disk in config.disks):
        raise TestbedError(f"QEMU's SATA disks have logical sectors of {_SATA_SECTOR} bytes, and no others")
    if Bus.SCSI in buses:
        yield from ("-device", "virtio-scsi-pci,id=scsi0")
    for number, disk in enumerate(config.disks):
        order = "" if config.firmware_decides else f",bootindex={number + 1}"
        yield from ("-drive", _drive(disk, number))
        yield from ("-device", _device(disk, number, buses[:number].count(disk.bus)) + order)


def _medium(config: ServerConfig) -> list[str]:
    if config.medium is None:
        return []
    drive = f"id=medium,if=none,format=raw,media=cdrom,readonly=on,file={_escaped(config.medium)}"
    place = f"ide-cd,bus=ide.{_SATA_PORTS - 1},drive=medium,bootindex={len(config.disks) + 1}"
    return ["-drive", drive, "-device", place]


def _drive(disk: Disk, number: int) -> str:
    options = f"id=drive{number},if=none,format={disk.format},cache={disk.cache},discard=unmap"
    return f"{options},file={_escaped(disk.path)}"


def _device(disk: Disk, number: int, position_on_bus: int) -> str:
    models = {
        Bus.VIRTIO: "virtio-blk-pci",
        Bus.SATA: f"ide-hd,bus=ide.{position_on_bus}",
        Bus.SCSI: "scsi-hd,bus=scsi0.0",
        Bus.NVME: "nvme",
    }
    serial = disk.serial or f"TESTBED{number}"
    sectors = f"logical_block_size={disk.logical_sector},physical_block_size={disk.physical_sector}"
    return f"{models[disk.bus]},drive=drive{number},serial={serial},{sectors}"
