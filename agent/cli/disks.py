"""``byoi-agent disks``: the disks and their groups, what holds each, which group is the default one."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent.cli.output import write_json, write_lines
from agent.deployment.target import read_group_config
from agent.exit_codes import ExitCode
from partitioning.disks import Disk
from partitioning.groups import DiskGroup, default_group_id, form_groups
from partitioning.holders import describe_holders, find_holders
from partitioning.inventory import read_inventory


def disks(*, config: Path | None, json: bool) -> int:
    """Show the disks and their groups, and what holds each disk."""
    group_config = read_group_config(config)
    inventory = read_inventory()
    groups = form_groups(inventory, group_config)
    default = default_group_id(group_config)
    ungrouped = [disk for disk in inventory if not any(disk in group.disks for group in groups)]
    if json:
        write_json(_as_json(groups, ungrouped, default))
    else:
        write_lines(_lines(groups, ungrouped, default))
    return ExitCode.DONE


def _lines(groups: Iterable[DiskGroup], ungrouped: Iterable[Disk], default: int) -> list[str]:
    lines = []
    for group in groups:
        marks = ", ".join(
            word for word, true in (("default", group.id == default), ("pinned", group.pinned)) if true
        )
        lines.append(f"Group {group.id}" + (f" ({marks})" if marks else ""))
        for number, disk in enumerate(group.disks):
            lines += _disk_lines(disk, "the image goes here" if number == 0 else "")
    for disk in ungrouped:
        lines += [f"In no group: {disk.ignored or 'another path names it'}", *_disk_lines(disk, "")]
    return lines or ["There are no disks."]


def _disk_lines(disk: Disk, remark: str) -> list[str]:
    sectors = f"{disk.size} bytes, sectors of {disk.sector_size}/{disk.physical_sector_size} bytes"
    lines = [f"  {disk.describe()}" + (f"  <- {remark}" if remark else "")]
    lines.append(f"    {sectors}, {disk.transport or 'unknown transport'}, at {disk.location}")
    lines += [f"    {link}" for link in disk.by_id]
    if holders := find_holders(disk):
        lines.append(f"    held: {describe_holders(holders)}")
    return lines


def _as_json(groups: Iterable[DiskGroup], ungrouped: Iterable[Disk], default: int) -> dict[str, Any]:
    return {
        "defaultGroupId": default,
        "groups": [
            {"id": group.id, "pinned": group.pinned, "disks": [_disk_json(disk) for disk in group.disks]}
            for group in groups
        ],
        "ungrouped": [{**_disk_json(disk), "ignored": disk.ignored} for disk in ungrouped],
    }


def _disk_json(disk: Disk) -> dict[str, Any]:
    return {
        "path": str(disk.path),
        "byId": list(disk.by_id),
        "byPath": list(disk.by_path),
        "model": disk.model,
        "serial": disk.serial,
        "wwn": disk.wwn,
        "size": disk.size,
        "logicalSectorSize": disk.sector_size,
        "physicalSectorSize": disk.physical_sector_size,
        "rotational": disk.rotational,
        "transport": disk.transport,
        "removable": disk.removable,
        "kind": disk.kind,
        "controller": disk.controller,
        "location": disk.location,
        "heldBy": [holder.describe() for holder in find_holders(disk)],
    }
