"""How the disk will start on the server's firmware, and what is changed on it so that it does.

What is done in which case stands as a table in docs/boot.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.boot.added_loader import add_esp, hand_over_in, require_esp_addable, require_loader_addable
from agent.boot.boot_draft import Draft, EndOfDisk, Loader, Server
from agent.boot.fat_write import CONTENTS_LIMIT, FatWrite, Reason, made_anew
from agent.boot.image_esp import image_esps
from agent.boot.image_loader import no_such_loader, use_own
from agent.boot.memory_room import room_for_files
from agent.boot.secure_boot_check import doubt_about
from agent.firmware import Firmware
from agent.images import boot_fit
from agent.images.errors import NotBootable
from agent.images.image import Image
from agent.images.inspect import Contents
from partitioning.errors import ExplainedError, NoRoom
from partitioning.table import Partition, PartitionTable


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPlan:
    """What is decided. ``loader`` is None where the firmware is not UEFI."""

    loader: Loader | None
    writes: tuple[FatWrite, ...]
    warnings: tuple[str, ...] = ()
    entry_only: str = ""
    """Why nothing at the fallback path starts the disk, so that it needs its boot entry; empty where it does
    not."""

    @property
    def added(self) -> FatWrite | None:
        """The file system for which a partition is made."""
        return next((write for write in self.writes if write.guid is not None), None)


def plan_boot(image: Image, contents: Contents, server: Server, end: EndOfDisk) -> BootPlan:
    """Decide how the disk will start, and what is put on it for that.

    Raises NotBootable with the reason why the image can not start there, Refused, and NoRoom.
    """
    draft = Draft()
    if server.firmware is Firmware.UEFI:
        _for_uefi(image, contents, server, end, draft)
    else:
        boot_fit.require(contents.boot, server.firmware)
    own = _made_anew(image, contents, server, end, draft)
    return BootPlan(
        loader=draft.loader,
        writes=(*own, *([draft.added] if draft.added else [])),
        warnings=(*_secure_boot_warnings(server, draft), *draft.warnings),
        entry_only=draft.entry_only,
    )


def require_by_beginning(image: Image, table: PartitionTable, server: Server, end: EndOfDisk) -> None:
    """Raise what the table, and ESPs that are there already, say of why the image will not start.

    NotBootable, and Refused. Raises NotThereYet where that is not all there.
    """
    boot_fit.require_by_table(table, server.firmware)
    if server.firmware is not Firmware.UEFI:
        return
    esps = image_esps(image, table, asked_for=server.asked_for, by_entry=server.has_entries)
    if any(esp.loader is not None for esp in esps):
        return
    if server.asked_for is not None:
        raise no_such_loader(server.asked_for, esps)
    if esps:
        require_loader_addable(esps)
    else:
        require_esp_addable(table, server, end)


def _secure_boot_warnings(server: Server, draft: Draft) -> tuple[str, ...]:
    """Judge what would start. Raises NotBootable when Secure Boot would refuse it."""
    if server.secure_boot is None or not draft.stages:
        return ()
    doubt = doubt_about(server.secure_boot, draft.stages)
    kernel = (
        "Secure Boot is on, and the kernel in the image was not found: whether it is signed is not known."
    )
    told = [doubt, kernel if draft.kernel_unknown and server.checks_signatures else ""]
    return tuple(sentence for sentence in told if sentence)


def _for_uefi(image: Image, contents: Contents, server: Server, end: EndOfDisk, draft: Draft) -> None:
    esps = image_esps(image, contents.table, asked_for=server.asked_for, by_entry=server.has_entries)
    starting = next((esp for esp in esps if esp.loader is not None), None)
    if starting is not None:
        use_own(starting, server, draft)
    elif server.asked_for is not None:
        raise no_such_loader(server.asked_for, esps)
    elif esps:
        hand_over_in(image, esps, server, draft)
    else:
        add_esp(image, contents, server, end, draft)


def _made_anew(
    image: Image, contents: Contents, server: Server, end: EndOfDisk, draft: Draft
) -> list[FatWrite]:
    """Make those of the image's FAT file systems anew that get files, or have other sectors than the disk."""
    # What is written to a ConfigDrive of the image's own would be overwritten before it is read back.
    wanted = {part.number for part in contents.fats_of_other_sector_size} - {end.config_drive}
    made: list[FatWrite] = []
    for part in contents.table.partitions:
        if part.number in wanted or part.number in draft.files:
            reasons = [draft.reasons[part.number]] if part.number in draft.reasons else []
            reasons += [Reason.SECTORS] if part.number in wanted else []
            # All of them are held in memory, so the limit is one for all.
            limit = room_for_files(CONTENTS_LIMIT) - sum(write.image.content_size for write in made)
            try:
                made.append(_one_anew(image, contents, part, reasons, draft, limit))
            except NotBootable as error:
                if reasons != [Reason.FALLBACK] or not server.has_entries:
                    raise
                draft.needs_entry(error.detail, server)
    return made


def _one_anew(
    image: Image,
    contents: Contents,
    part: Partition,
    reasons: Sequence[Reason],
    draft: Draft,
    limit: int,
) -> FatWrite:
    try:
        return made_anew(
            image,
            part,
            sector_size=contents.table.sector_size,
            reasons=tuple(reasons),
            add=draft.files.get(part.number, {}),
            limit=limit,
        )
    except (ExplainedError, EOFError) as error:
        what = " and ".join(reasons)
        raise NotBootable(
            f"The FAT file system in partition {part.number} of the image can not be made anew.",
            detail=f"Partition {part.number} {what}, which fails: {error}",
            hint=_hint_for(error, part),
        ) from error


def _hint_for(error: Exception, part: Partition) -> str:
    if isinstance(error, NoRoom):
        return f"Make partition {part.number} larger in the image, or take files out of it."
    if isinstance(error, ExplainedError):
        return error.hint
    return "Check it in the image (fsck.fat -n), and make it again if it is damaged."
