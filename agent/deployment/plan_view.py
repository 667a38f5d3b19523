"""The plan as people read it, and as JSON."""

from typing import Any

from agent.deployment.boot_view import boot_json, boot_lines, boots_on
from agent.deployment.plan import ConfigDrivePlan, DeploymentPlan, FileSum
from agent.deployment.target import Target
from agent.fetch.redaction import printable, public_url
from agent.firmware import Firmware
from agent.images.image import Image
from agent.reporting.sizes import human_size
from agent.request.model import Erase, Request
from partitioning.table import PartitionTable
from partitioning.uefi.secure_boot import SecureBootState

_FIRMWARE = {
    Firmware.UEFI: "UEFI",
    Firmware.LEGACY: "legacy (BIOS)",
    None: "any (the target is not a disk of this server)",
}


def target_lines(request: Request, target: Target) -> list[str]:
    """Describe the disk, what holds it, and what will be lost."""
    disk = target.disk
    group = f", group {target.group_id}" if target.group_id else ""
    lines = [
        f"Disk:      {disk.describe()}{group}",
        f"           {disk.size} bytes, sectors of {disk.sector_size} bytes",
        f"Firmware:  {_FIRMWARE[target.firmware]}{_secure_boot_words(target)}",
        f"Image:     {request.type} from {public_url(request.url)}",
    ]
    if request.description:
        lines.append(f"           {request.description}")
    lines += [f"Has now:   {what}" for what in target.old_contents]
    lines += [f"Release:   {action.line}" for action in target.release.actions]
    lines.append(f"Erase:     the whole disk {disk.path}: {_erase_words(request)}")
    return [printable(line) for line in lines]


def _erase_words(request: Request) -> str:
    if request.options.erase is Erase.FULL:
        return "every byte of it"
    return "all that is on it is lost; behind the image its bytes can still be read (--erase full)"


def _secure_boot_words(target: Target) -> str:
    if target.secure_boot is None:
        return ""
    words = {
        SecureBootState.ON: "Secure Boot is on",
        SecureBootState.OFF: "Secure Boot is off",
        SecureBootState.UNKNOWN: "whether Secure Boot is on can not be told",
    }
    return f"; {words[target.secure_boot.state]}"


def image_lines(request: Request, plan: DeploymentPlan, *, warnings: bool = True) -> list[str]:
    """Describe what was found in the image and what will be done with it."""
    lines = [
        f"Sum:       {sum_words(request, plan.file_sum)}",
        f"Memory:    {memory_words(plan.image, is_whole=plan.file_sum is not None)}",
        f"Write:     {size_words(plan.image.virtual_size, plan.contents.table)}",
        f"Boots on:  {boots_on(plan)}",
    ]
    lines += [f"Table:     {words}" for words in _table_words(plan)]
    lines += boot_lines(plan)
    lines.append(f"Config:    {_config_drive_words(plan.config_drive)}")
    lines += [f"Then:      {what}" for what in then_words(request)]
    if warnings:
        lines += [f"Warning:   {warning}" for warning in plan.warnings]
    return [printable(line) for line in lines]


def target_json(request: Request, target: Target) -> dict[str, Any]:
    """Give the disk, what holds it, and what will be lost, as JSON."""
    disk = target.disk
    return {
        "disk": {
            "path": str(disk.path),
            "model": disk.model,
            "serial": disk.serial,
            "size": disk.size,
            "sectorSize": disk.sector_size,
            "diskGroupId": target.group_id,
        },
        "firmware": target.firmware,
        "secureBoot": target.secure_boot and target.secure_boot.state,
        "oldContents": list(target.old_contents),
        "release": [action.line for action in target.release.actions],
        "erase": request.options.erase,
    }


def plan_json(request: Request, plan: DeploymentPlan) -> dict[str, Any]:
    """Give the plan as JSON."""
    table, drive = plan.contents.table, plan.config_drive
    return {
        **target_json(request, plan.target),
        "complete": True,
        "image": {
            "url": public_url(request.url),
            "type": plan.image.type,
            "fileSize": plan.image.file_size,
            "heldInMemory": plan.image.held,
            "checkSumType": plan.file_sum and plan.file_sum.kind,
            "checkSum": plan.file_sum and plan.file_sum.value,
            "checkSumChecked": bool(plan.file_sum and plan.file_sum.asked_for),
            "virtualSize": plan.image.virtual_size,
            "partitionTable": table.kind,
            "sectorSize": plan.contents.made_for,
            "partitions": len(table.partitions),
            "bootsOn": list(plan.contents.boot.able),
        },
        **boot_json(plan),
        "configdrive": None
        if drive is None
        else {
            "fileSystem": drive.image.kind,
            "start": drive.placement.start,
            "size": drive.placement.size,
            "partition": drive.placement.number,
            "reused": drive.reuses is not None,
        },
        "verify": request.options.verify,
        "reboot": bool(request.options.reboot),
        "warnings": list(plan.warnings),
    }


def sum_words(request: Request, file_sum: FileSum | None) -> str:
    """Say what the sum of the file is, or when it will be compared."""
    if file_sum is None:
        if request.check_sum is None:
            return "none was given to check"
        return f"{request.check_sum_type} {request.check_sum}, compared when all of it has been written"
    told = f"{file_sum.kind} {file_sum.value}"
    return f"{told}, as asked for" if file_sum.asked_for else f"none was given to check; the file has {told}"


def memory_words(image: Image, *, is_whole: bool) -> str:
    """Say how much memory the image takes."""
    if is_whole:
        return f"the image takes {human_size(image.held)}, given back as it is written"
    return f"at most {human_size(image.held)} are held at a time: it is written while it comes"


def then_words(request: Request) -> list[str]:
    """Say what comes after writing."""
    chosen = (
        (request.options.verify, "all of the image is read back from the disk and compared"),
        (request.options.reboot, "the server reboots"),
    )
    return [what for wanted, what in chosen if wanted]


def size_words(size: int | None, table: PartitionTable) -> str:
    """Say how large the image is, and what partitions it has."""
    words = "its size is known when all has come" if size is None else f"{human_size(size)} ({size} bytes)"
    count = len(table.partitions)
    numbers = ", ".join(str(part.number) for part in table.partitions)
    partitions = f"partition {numbers}" if count == 1 else f"partitions {numbers}"
    return f"{words}, {table.kind.upper()} with {partitions}"


def _table_words(plan: DeploymentPlan) -> list[str]:
    contents = plan.contents
    words = []
    if contents.made_for != contents.table.sector_size:
        words.append(
            f"made for sectors of {contents.made_for} bytes, it is rewritten for {contents.table.sector_size}"
        )
    if contents.table.gpt is not None:
        words.append("the backup GPT is moved to the end of the disk")
    return words


def _config_drive_words(plan: ConfigDrivePlan | None) -> str:
    if plan is None:
        return "no ConfigDrive"
    where = f"partition {plan.placement.number} at byte {plan.placement.start}, {plan.placement.size} bytes"
    if plan.reuses is not None:
        return f"the image's own ConfigDrive, {where}, is filled anew"
    return f"a ConfigDrive ({plan.image.kind}) becomes {where}"
