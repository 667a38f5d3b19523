"""The disk a request means, and whether it may be written to."""

from dataclasses import dataclass
from pathlib import Path

from agent.deployment.image_on_target import refuse_image_on
from agent.errors import Refused
from agent.firmware import Firmware, firmware_for, running_firmware
from agent.images.qemu_img import require_tools
from agent.request.model import Request
from partitioning.disk_paths import apart_from
from partitioning.disk_selection import choose, disk_at
from partitioning.disks import Disk
from partitioning.group_config import GroupConfig, load
from partitioning.groups import form_groups
from partitioning.inventory import read_inventory
from partitioning.old_contents import old_contents
from partitioning.release import ReleasePlan, plan_release
from partitioning.running_system import refuse_if_in_use
from partitioning.uefi.secure_boot import SecureBoot, read_secure_boot

DEFAULT_CONFIG = Path("/etc/byoi-agent/disk-groups.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The chosen disk, what has to be stopped to get hold of it, and the firmware that is to boot it.

    ``others`` are the disks of the server on which nothing of it stands; none where the target is not of the
    server itself (a file, a loop device). ``secure_boot`` is
    what the firmware says of it, None where no UEFI firmware of this server is going to start the disk.
    """

    disk: Disk
    group_id: int | None
    release: ReleasePlan
    firmware: Firmware | None
    others: tuple[Disk, ...] = ()
    secure_boot: SecureBoot | None = None
    old_contents: tuple[str, ...] = ()
    """What is on the disk now, in words."""


def read_group_config(path: Path | None) -> GroupConfig:
    """Read the file that pins disk groups; the default one need not exist."""
    if path is None:
        return load(DEFAULT_CONFIG) if DEFAULT_CONFIG.exists() else GroupConfig()
    return load(path)


def choose_target(request: Request, config: GroupConfig) -> Target:
    """Find the disk the request means.

    Raises CommandMissing, DiskNotFound, DiskUnsuitable, DiskBusy for the running system's disk, and for
    one that is mounted or in swap, and Refused where it does not fit the request.
    """
    require_tools(request.type)
    named = request.options.disk
    inventory = () if named and Path(named).is_file() else read_inventory()
    if named:
        disk = disk_at(Path(named), inventory, request.options.sector_size)
    else:
        _refuse_sector_size(request)
        disk = choose(inventory, config, request.disk_group_id)
    refuse_if_in_use(disk)
    refuse_image_on(disk, request)
    _refuse_reboot(request, disk)
    firmware = _firmware(request, disk)
    return Target(
        disk=disk,
        group_id=next((g.id for g in form_groups(inventory, config) if disk in g.disks), None),
        release=plan_release(disk),
        firmware=firmware,
        others=apart_from(disk, inventory) if disk.is_of_server else (),
        secure_boot=_secure_boot(disk, firmware),
        old_contents=old_contents(disk),
    )


def _firmware(request: Request, disk: Disk) -> Firmware | None:
    found = firmware_for(request.options.boot_type, disk_is_of_server=disk.is_of_server)
    # Only UEFI firmware is told a loader by its path.
    return Firmware.UEFI if found is None and request.options.efi_bootloader_path else found


def _secure_boot(disk: Disk, firmware: Firmware | None) -> SecureBoot | None:
    # A system that was started in legacy mode can not ask.
    if not disk.is_of_server or firmware is not Firmware.UEFI or running_firmware() is not Firmware.UEFI:
        return None
    return read_secure_boot()


def _refuse_reboot(request: Request, disk: Disk) -> None:
    if request.options.reboot and not disk.is_of_server:
        sort = "a regular file" if disk.is_file else "no disk of this server"
        raise Refused(
            "A deployment to a file does not reboot the server.",
            detail=f"options.reboot is true, and {disk.path} is {sort}, which does not boot.",
            hint="Leave options.reboot out, or give --no-reboot.",
        )


def _refuse_sector_size(request: Request) -> None:
    if request.options.sector_size is not None:
        raise Refused(
            "A sector size can be chosen for regular files only.",
            detail=f"options.sectorSize is {request.options.sector_size}, and the target is a disk group.",
            hint="Leave options.sectorSize out; the disk knows its own.",
        )
