"""How the disk will boot, as people read it in the plan, and as JSON."""

from typing import Any

from agent.boot.boot_draft import Loader
from agent.boot.boot_entry import LABEL, entry_words
from agent.boot.fat_write import FatWrite
from agent.deployment.plan import DeploymentPlan
from agent.deployment.rival_disks import release_lines
from agent.reporting.sizes import human_size
from partitioning.uefi.boot_entries import BootEntry
from partitioning.uefi.boot_entry_plan import EntryChanges
from partitioning.uefi.names import fallback_path, shown


def boots_on(plan: DeploymentPlan) -> str:
    """Say which firmware finds something to start in the image, and what is missing for the other."""
    fit = plan.contents.boot
    adds_uefi = plan.boot.loader is not None and fit.uefi is not None
    able = [*fit.able, *(["uefi, by what is added"] if adds_uefi else [])]
    missing = [why for why in fit.missing if not (adds_uefi and why == fit.uefi)]
    words = " and ".join(able)
    return f"{words} ({' '.join(missing)})" if missing else words


def boot_lines(plan: DeploymentPlan) -> list[str]:
    """Say what is changed so that the disk boots: file systems, boot entries, other disks."""
    lines = [f"Boot:      {_write_words(write)}" for write in plan.boot.writes]
    if plan.boot.loader is not None:
        lines.append(f"Loader:    {_loader_words(plan, plan.boot.loader)}")
    if plan.entry is not None:
        lines.append(f"Entry:     the firmware's boot entry “{LABEL}” becomes the first of the disks'")
        lines += [
            f"           {entry_words(entry)} is removed: {_why_removed(entry, plan.entry.changes)}"
            for entry in plan.entry.changes.removed
        ]
    lines += [f"Release:   {line}" for line in release_lines(plan.rivals)]
    lines += [f"Erase:     {rival.name}: it {rival.trouble}" for rival in plan.rivals.rivals]
    return lines


def boot_json(plan: DeploymentPlan) -> dict[str, Any]:
    """Give the same as JSON."""
    return {
        "fileSystems": [_write_json(write) for write in plan.boot.writes],
        "loader": _loader_json(plan.boot.loader),
        "bootEntry": None
        if plan.entry is None
        else {
            "label": LABEL,
            "removed": [
                {"number": entry.number, "label": entry.label} for entry in plan.entry.changes.removed
            ],
            "behind": list(plan.entry.changes.ahead),
        },
        "rivalsErased": [rival.name for rival in plan.rivals.rivals],
    }


def _write_words(write: FatWrite) -> str:
    place = write.placement
    verb = "an EFI system partition becomes" if write.guid is not None else "the FAT file system in"
    whys = " and ".join(write.reasons)
    return f"{verb} partition {place.number} ({human_size(place.size)} at byte {place.start}); it {whys}"


def _write_json(write: FatWrite) -> dict[str, Any]:
    return {
        "partition": write.placement.number,
        "start": write.placement.start,
        "size": write.placement.size,
        "added": write.guid is not None,
        "reasons": [reason.name.lower() for reason in write.reasons],
    }


def _loader_words(plan: DeploymentPlan, loader: Loader) -> str:
    # Without an entry firmware starts the fallback path, where the same loader stands.
    path = loader.path if plan.entry is not None else fallback_path()
    where = f"{shown(path)} on partition {loader.partition}"
    if loader.menu is None:
        return where
    menu = loader.menu
    return (
        f"{where}; it hands over to {menu.directory}/grub.cfg on the {menu.file_system.kind} file system"
        f" {menu.file_system.uuid}"
    )


def _loader_json(loader: Loader | None) -> dict[str, Any] | None:
    if loader is None:
        return None
    menu = loader.menu
    return {
        "partition": loader.partition,
        "path": shown(loader.path),
        "menu": menu and f"{menu.directory}/grub.cfg",
        "fileSystemUuid": menu and menu.file_system.uuid,
    }


def _why_removed(entry: BootEntry, changes: EntryChanges) -> str:
    if entry.label == LABEL:
        return "the new one takes its place"
    if entry in changes.unseen:
        return "its partition is on no disk that can be seen here"
    return "its partition will not exist any more"
