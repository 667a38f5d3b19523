"""The image's own loader: which of them the firmware starts, and whether it stands at the fallback path."""

from collections.abc import Sequence

from agent.boot.boot_draft import Draft, Loader, Server
from agent.boot.fat_write import Reason
from agent.boot.find_loader import Fallback, FoundLoader, loader_at
from agent.boot.image_esp import ImageEsp, fallback_files
from agent.boot.secure_boot_check import stages_on_esp
from agent.errors import Refused
from partitioning.fat.file_system import FatError, FatFileSystem
from partitioning.uefi.names import fallback_path, shown

_NOTHING_THERE = f"Nothing at {shown(fallback_path())} would start the disk."


def use_own(esp: ImageEsp, server: Server, draft: Draft) -> None:
    """Start from the loader on ``esp``. Raises FatError, and NotBootable where nothing would start."""
    if esp.loader is None or esp.volume is None:
        raise AssertionError("only one with a loader is used")
    loader = _started(esp.volume, esp.loader, server, draft)
    draft.loader = Loader(partition=esp.part.number, path=loader.path, arguments=loader.arguments)
    if server.knows_signatures:
        draft.stages += stages_on_esp(esp.volume, loader)
    if loader.fallback is Fallback.STUCK or not (loader.starts_alone or loader.fallback is Fallback.READY):
        draft.needs_entry(_NOTHING_THERE, server)
    elif loader.fallback is Fallback.EMPTY:
        _fill_fallback(esp.part.number, esp.volume, loader, server, draft)


def _started(volume: FatFileSystem, loader: FoundLoader, server: Server, draft: Draft) -> FoundLoader:
    """Give what the firmware will start: without an entry, what is at the fallback path already."""
    if server.has_entries or loader.fallback is not Fallback.READY:
        return loader
    there = loader_at(volume, fallback_path()) or loader
    if there.path != loader.path:
        draft.warnings.append(
            f"No boot entry can be made, as {server.no_entries}: the firmware starts {shown(there.path)}, not"
            f" {shown(loader.path)}."
        )
    return there


def _fill_fallback(
    number: int, volume: FatFileSystem, loader: FoundLoader, server: Server, draft: Draft
) -> None:
    try:
        draft.files[number] = fallback_files(volume, loader)
    except FatError as error:
        why = f"Partition {number} can not take its loader as {shown(fallback_path())}: {error.detail}"
        draft.needs_entry(why, server)
    else:
        draft.reasons[number] = Reason.FALLBACK


def no_such_loader(asked_for: str, esps: Sequence[ImageEsp]) -> Refused:
    """Make the error for a loader that the request names and that is not there, or is for another machine."""
    numbers = ", ".join(str(esp.part.number) for esp in esps)
    message = f"The loader {shown(asked_for)} is not in the image."
    if not esps:
        detail = "The image has no EFI system partition."
    elif any(esp.volume is not None and esp.volume.exists(asked_for) for esp in esps):
        message = f"The loader {shown(asked_for)} can not be started."
        detail = f"It is no program for this kind of machine (EFI system partition: number {numbers})."
    else:
        where = f"the image's EFI system partition (number {numbers})"
        detail = f"There is no such file on {where}.{_those_there(esps)}"
    return Refused(
        message,
        detail=detail,
        hint="Correct options.efiBootloaderPath, or leave it out: the loader is then looked for.",
    )


def _those_there(esps: Sequence[ImageEsp]) -> str:
    names = [shown(path) for esp in esps for path in esp.others]
    return f" It has {', '.join(names)}." if names else ""
