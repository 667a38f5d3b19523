"""What a deployment is going to do, worked out in full before anything is written."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from agent import messages
from agent.boot import boot_plan
from agent.boot.boot_draft import EndOfDisk, Server
from agent.boot.boot_entry import EntryPlan, NoEntry, by_itself, entry_words, plan_entry
from agent.boot.boot_plan import BootPlan, plan_boot
from agent.boot.hand_over_menu import MESSAGE
from agent.deployment.rival_disks import RivalPlan, plan_erasing
from agent.deployment.rivals import describe_new_system, find_rivals
from agent.deployment.target import Target
from agent.errors import Refused
from agent.fetch.digest import ChecksumKind
from agent.firmware import Firmware
from agent.images import boot_fit
from agent.images.errors import NotBootable
from agent.images.image import Image
from agent.images.inspect import Contents, look_inside, read_image_table, require_fit
from agent.request import ssh_keys
from agent.request.model import ConfigDriveRequest, Request, Rivals
from agent.request.user_data import is_known_kind
from configdrive import drive
from configdrive.drive import ConfigDriveData, DriveImage
from partitioning.backup_gpt import moved_to_end
from partitioning.byte_access import NotThereYet
from partitioning.disks import Disk
from partitioning.errors import ExplainedError, NoRoom
from partitioning.new_partition import Placement, place_at_end, require_removable
from partitioning.table import Partition, PartitionTable
from partitioning.uefi.boot_entries import why_unchangeable

_NO_WAY_TO_START = (
    "Make room for the loader on the image's EFI system partition, or let boot entries be made."
)
_WARN_ABOVE = 1 << 41
"""Bytes: an MBR with 512-byte sectors addresses no more than 2 TiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigDrivePlan:
    """The finished drive and where it goes.

    ``reuses`` is the image's own ConfigDrive partition when the new one fits in it; ``replaces`` is that
    partition when it does not, so that it has to go.
    """

    image: DriveImage
    placement: Placement
    reuses: Partition | None = None
    replaces: Partition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSum:
    """The sum of the file as it was delivered; ``asked_for`` is whether the request gave one, which fits."""

    kind: ChecksumKind
    value: str
    asked_for: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPlan:
    """Everything that is decided. Nothing has been written."""

    target: Target
    file_sum: FileSum | None
    """None as long as the file is on its way."""
    image: Image
    contents: Contents
    config_drive: ConfigDrivePlan | None
    boot: BootPlan
    entry: EntryPlan | None
    rivals: RivalPlan
    warnings: tuple[str, ...]


def make_plan(
    request: Request,
    target: Target,
    file_sum: FileSum | None,
    image: Image,
    *,
    was_written: bool = False,
) -> DeploymentPlan:
    """Decide what will be written where, or raise the reason why not.

    ``was_written``: the image is on its disk already.
    """
    disk = target.disk
    if image.virtual_size is not None:
        require_fit(image.virtual_size, disk_size=disk.size, disk_path=str(disk.path))
    # First: who makes another image for a disk that can not boot by any has done it for nothing.
    boot_fit.require_by_table(read_image_table(image, disk.sector_size)[0], target.firmware)
    contents = look_inside(image, disk.sector_size, makes_config_drive=request.wants_configdrive)
    _require_room_for_table(contents.table, disk)
    config_drive = _plan_config_drive(request, contents, disk)
    boot = plan_boot(image, contents, _server(request, target), _end_of_disk(config_drive))
    new = describe_new_system(
        image, contents.table, disk, firmware=target.firmware, has_config_drive=request.wants_configdrive
    )
    rivals = find_rivals(new, target.others, afresh=was_written)
    policy = request.options.rivals
    erased = frozenset(rival.partuuid for rival in rivals if rival.extent and policy is Rivals.ERASE)
    entry, entry_warnings = _plan_entry(boot, contents.table, target, policy, erased)
    return DeploymentPlan(
        target=target,
        file_sum=file_sum,
        image=image,
        contents=contents,
        config_drive=config_drive,
        boot=boot,
        entry=entry,
        rivals=plan_erasing(rivals if policy is Rivals.ERASE else (), new),
        warnings=(
            *_table_warnings(contents.table, disk),
            *_drive_warnings(request, contents),
            *_firmware_warnings(contents, target),
            *_policy_warnings(policy, target),
            *_loader_warnings(request, target),
            *boot.warnings,
            *entry_warnings,
            *(rival.sentence(policy) for rival in rivals),
        ),
    )


def _end_of_disk(config_drive: ConfigDrivePlan | None) -> EndOfDisk:
    if config_drive is None:
        return EndOfDisk()
    own = config_drive.reuses or config_drive.replaces
    return EndOfDisk(
        ahead_of=() if config_drive.reuses else (config_drive.placement,),
        config_drive=own.number if own else None,
    )


def _server(request: Request, target: Target) -> Server:
    return Server(
        firmware=target.firmware,
        disk_size=target.disk.size,
        asked_for=request.options.efi_bootloader_path,
        secure_boot=target.secure_boot,
        no_entries=why_unchangeable()
        if target.disk.is_of_server
        else "the target is not a disk of this server",
    )


def _plan_entry(
    boot: BootPlan, table: PartitionTable, target: Target, policy: Rivals, erased: frozenset[str]
) -> tuple[EntryPlan | None, tuple[str, ...]]:
    # Of a file or a loop device no firmware is told.
    if boot.loader is None or not target.disk.is_of_server:
        return None, ()
    try:
        planned = plan_entry(
            boot.loader,
            _new_partuuids(boot, table),
            target.disk,
            target.others,
            erased=erased,
            removes_astray=policy is Rivals.ERASE,
        )
    except NoEntry as why:
        if boot.entry_only:
            raise NotBootable(MESSAGE, detail=f"{boot.entry_only} {why}", hint=_NO_WAY_TO_START) from why
        return None, (by_itself(why),)
    astray = [
        f"The boot entry {entry_words(each)} leads to a partition that no disk here has. If it is of no use"
        f" any more, remove it (efibootmgr -b {each.number} -B, or with options.rivals)."
        for each in planned.changes.astray
    ]
    return planned, tuple(astray)


def _new_partuuids(boot: BootPlan, table: PartitionTable) -> frozenset[str]:
    added = [str(boot.added.guid)] if boot.added else []
    return frozenset([*(part.partuuid for part in table.partitions), *added])


def _loader_warnings(request: Request, target: Target) -> tuple[str, ...]:
    if request.options.efi_bootloader_path is None or target.firmware is Firmware.UEFI:
        return ()
    return ("options.efiBootloaderPath is of no use here: the disk is not meant for UEFI firmware.",)


def _firmware_warnings(contents: Contents, target: Target) -> tuple[str, ...]:
    """Say what will not start a disk that is for any firmware."""
    fit = contents.boot
    if target.firmware is not None or not fit.missing:
        return ()
    told = [f"Only {' and '.join(fit.able)} firmware will start this disk.", *fit.missing]
    if fit.uefi is not None:
        told.append("If it is for UEFI, say so (options.bootType): what is missing is added.")
    return (" ".join(told),)


def _policy_warnings(policy: Rivals, target: Target) -> tuple[str, ...]:
    if policy is Rivals.WARN or target.disk.is_of_server:
        return ()
    return (
        "options.rivals is of no use here: the target is no disk of this server, and no other is looked at.",
    )


def _require_room_for_table(table: PartitionTable, disk: Disk) -> None:
    """Make sure that the backup GPT has room at the end of the disk. Raises Refused."""
    if table.gpt is not None:
        try:
            moved_to_end(table.gpt, disk.size)
        except NoRoom as error:
            raise Refused(
                messages.CAN_NOT_MOVE_GPT, detail=f"{error.message} {error.detail}", hint=error.hint
            ) from error


def require_by_beginning(request: Request, target: Target, image: Image, table: PartitionTable) -> None:
    """Raise what the image's beginning says against the deployment: Refused, and NotBootable."""
    disk = target.disk
    _require_room_for_table(table, disk)
    placements: tuple[Placement, ...] = ()
    if (wanted := _wanted_drive(request)) is not None:
        with _no_drive_explained():
            made = drive.build(_data(wanted), sector_size=disk.sector_size)
            placements = (place_at_end(table, disk.size, drive.partition_size(made)),)
    with suppress(NotThereYet):  # an ESP that comes later is looked at on the disk
        boot_plan.require_by_beginning(image, table, _server(request, target), EndOfDisk(ahead_of=placements))


def _plan_config_drive(request: Request, contents: Contents, disk: Disk) -> ConfigDrivePlan | None:
    wanted = _wanted_drive(request)
    if wanted is None:
        return None
    with _no_drive_explained():
        image = drive.build(_data(wanted), sector_size=disk.sector_size)
        return _place(image, contents, disk)


def _wanted_drive(request: Request) -> ConfigDriveRequest | None:
    return request.configdrive if request.configdrive and request.configdrive.enable else None


@contextmanager
def _no_drive_explained() -> Iterator[None]:
    try:
        yield
    except ExplainedError as error:
        raise Refused(
            messages.NO_CONFIGDRIVE, detail=f"{error.message} {error.detail}", hint=error.hint
        ) from error


def _place(image: DriveImage, contents: Contents, disk: Disk) -> ConfigDrivePlan:
    present = contents.config_drive
    size = drive.partition_size(image)
    if present is None:
        return ConfigDrivePlan(image=image, placement=place_at_end(contents.table, disk.size, size))
    if len(image.data) <= present.size:
        there = Placement(start=present.start, size=present.size, number=present.number)
        return ConfigDrivePlan(image=image, placement=there, reuses=present)
    require_removable(contents.table, present.number)
    placement = place_at_end(contents.table, disk.size, size, ignoring=present.number)
    return ConfigDrivePlan(image=image, placement=placement, replaces=present)


def _data(wanted: ConfigDriveRequest) -> ConfigDriveData:
    return ConfigDriveData(
        # A new one each time: cloud-init takes a known instance for one that is already set up.
        instance_uuid=uuid.uuid4(),
        hostname=wanted.hostname,
        ssh_keys=ssh_keys.lines(wanted.ssh_key or ""),
        user_data=_user_data(wanted),
        meta={entry.key: entry.value for entry in wanted.user_metadatas or ()},
    )


def _user_data(wanted: ConfigDriveRequest) -> bytes | None:
    text = wanted.user_data
    return None if text is None else text.encode("utf-8", errors="surrogateescape")


def _table_warnings(table: PartitionTable, disk: Disk) -> tuple[str, ...]:
    if table.gpt is None and disk.size > _WARN_ABOVE and disk.sector_size == 512:
        return (
            f"The image has an MBR, which addresses 2 TiB at most; the rest of {disk.path} can not be used.",
        )
    return ()


def _drive_warnings(request: Request, contents: Contents) -> Iterator[str]:
    if request.configdrive is None or not request.configdrive.enable:
        return
    user_data = _user_data(request.configdrive)
    if user_data is not None and not is_known_kind(user_data):
        yield "The user data begins like no script or cloud-config (#!, #cloud-config): it may do nothing."
    yield from (
        f"Partition {part.number} of the image is labelled config-2, too: cloud-init may read it instead."
        for part in contents.other_config_drives
    )
