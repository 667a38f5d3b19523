"""How the disk will start on the server's firmware, and what is changed on it so that it does.

What is done in which case stands as a table in docs/boot.md.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agent.boot.fat_write import CONTENTS_LIMIT, FatWrite, Reason, made_anew
from agent.boot.find_loader import FoundLoader
from agent.boot.hand_over import hand_over_config
from agent.boot.hand_over_menu import MESSAGE, HandOver, find_menu
from agent.boot.image_esp import ImageEsp, fallback_files, image_esps
from agent.boot.loader_files import LoaderFiles, own_loader, read_loader_files
from agent.boot.secure_boot_check import doubt_about, kernel_stage, stages_of_added, stages_on_esp
from agent.errors import Refused
from agent.firmware import Firmware
from agent.images import boot_fit
from agent.images.errors import NotBootable
from agent.images.grub_look import GrubMenu
from agent.images.image import Image
from agent.images.inspect import Contents
from partitioning.errors import ExplainedError, NoRoom
from partitioning.fat.file_system import FatError, FatFileSystem
from partitioning.new_partition import Placement, place_at_end
from partitioning.table import Partition
from partitioning.uefi.boot_chain import Stage
from partitioning.uefi.esp import build_esp
from partitioning.uefi.names import shown
from partitioning.uefi.secure_boot import SecureBoot, SecureBootState

_ENTRY_ONLY = "The fallback path stays empty: the disk starts by its boot entry only."


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """What the firmware starts: a file on the EFI system partition with this number."""

    partition: int
    path: str
    arguments: str = ""
    menu: GrubMenu | None = None
    """The menu it hands over to, where it is one that was added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPlan:
    """What is decided. ``loader`` is None where the firmware is not UEFI."""

    loader: Loader | None
    writes: tuple[FatWrite, ...]
    warnings: tuple[str, ...] = ()

    @property
    def added(self) -> FatWrite | None:
        """The file system for which a partition is made."""
        return next((write for write in self.writes if write.guid is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What counts of the server and of the request: firmware, disk size (bytes), a loader asked for.

    ``secure_boot`` is None where no firmware is going to ask, as for a regular file.
    """

    firmware: Firmware | None
    disk_size: int
    asked_for: str | None = None
    secure_boot: SecureBoot | None = None
    has_entries: bool = False
    """Whether a boot entry can be made."""

    @property
    def checks_signatures(self) -> bool:
        """Tell whether what starts has to be signed."""
        return self.secure_boot is not None and self.secure_boot.state is SecureBootState.ON


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfDisk:
    """What counts for a partition that is added at the end of the disk: what is planned there already."""

    ahead_of: tuple[Placement, ...] = ()
    config_drive: int | None = None
    """The number of the image's own ConfigDrive, which is filled anew or taken out afterwards."""


@dataclass(slots=True, kw_only=True)
class _Draft:
    """What is to be added to the image's own FAT file systems, by partition, while it is worked out."""

    loader: Loader | None = None
    stages: list[Stage] = field(default_factory=list)
    kernel_unknown: bool = False
    added: FatWrite | None = None
    files: dict[int, Mapping[str, bytes]] = field(default_factory=dict)
    reasons: dict[int, Reason] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def plan_boot(image: Image, contents: Contents, server: Server, end: EndOfDisk) -> BootPlan:
    """Decide how the disk will start, and what is put on it for that.

    Raises NotBootable with the reason why the image can not start there, Refused, and NoRoom.
    """
    draft = _Draft()
    if server.firmware is Firmware.UEFI:
        _for_uefi(image, contents, server, end, draft)
    else:
        boot_fit.require(contents.boot, server.firmware)
    own = _made_anew(image, contents, server, end, draft)
    return BootPlan(
        loader=draft.loader,
        writes=(*own, *([draft.added] if draft.added else [])),
        warnings=(*_secure_boot_warnings(server, draft), *draft.warnings),
    )


def _secure_boot_warnings(server: Server, draft: _Draft) -> tuple[str, ...]:
    """Judge what would start. Raises NotBootable when Secure Boot would refuse it."""
    if server.secure_boot is None or not draft.stages:
        return ()
    doubt = doubt_about(server.secure_boot, draft.stages)
    kernel = (
        "Secure Boot is on, and the kernel in the image was not found: whether it is signed is not known."
    )
    told = [doubt, kernel if draft.kernel_unknown and server.checks_signatures else ""]
    return tuple(sentence for sentence in told if sentence)


def _for_uefi(image: Image, contents: Contents, server: Server, end: EndOfDisk, draft: _Draft) -> None:
    esps = image_esps(image, contents.table, asked_for=server.asked_for)
    starting = next((esp for esp in esps if esp.loader is not None), None)
    if starting is not None:
        _use(starting, server, draft)
    elif server.asked_for is not None:
        raise _no_such_loader(server.asked_for, esps)
    elif esps:
        _hand_over_in(image, esps, server, draft)
    else:
        _add(image, contents, server, end, draft)


def _use(esp: ImageEsp, server: Server, draft: _Draft) -> None:
    if esp.loader is None or esp.volume is None:
        raise AssertionError("only one with a loader is used")
    draft.loader = Loader(partition=esp.part.number, path=esp.loader.path, arguments=esp.loader.arguments)
    if server.secure_boot is not None:
        draft.stages += stages_on_esp(esp.volume, esp.loader)
    if esp.loader.fills_fallback:
        _fill_fallback(esp.part.number, esp.volume, esp.loader, server, draft)


def _fill_fallback(
    number: int, volume: FatFileSystem, loader: FoundLoader, server: Server, draft: _Draft
) -> None:
    try:
        draft.files[number] = fallback_files(volume, loader)
    except FatError as error:
        if not server.has_entries:
            raise
        draft.warnings.append(f"Partition {number}: {error.detail} {_ENTRY_ONLY}")
    else:
        draft.reasons[number] = Reason.FALLBACK


def _hand_over_in(image: Image, esps: Sequence[ImageEsp], server: Server, draft: _Draft) -> None:
    """Put the loader into the image's own EFI system partition, which has none."""
    for esp in esps:
        if esp.others:
            raise _no_usable_loader(esp)
    readable = [(esp.part, esp.volume) for esp in esps if esp.volume is not None]
    if not readable:
        raise NotBootable(
            MESSAGE,
            detail=f"Its EFI system partition (number {esps[0].part.number}) can not be read: {esps[0].why}",
            hint="Make the partition again in the image (mkfs.fat -F 32), with its loader.",
        )
    part, volume = readable[0]
    because = f"Its EFI system partition (number {part.number}) has no loader."
    hand_over = find_menu(image, because=because, with_kernel=server.checks_signatures)
    files = read_loader_files()
    if volume.exists(files.config_path):
        raise NotBootable(
            MESSAGE,
            detail=f"{because} A loader can not be added, as {shown(files.config_path)} is there already.",
            hint="Install the image's own loader on it (grub-install --removable), or remove that file.",
        )
    draft.files[part.number] = files.on_esp(hand_over_config(hand_over.menu))
    draft.reasons[part.number] = Reason.LOADER
    _hand_over(part.number, files, hand_over, draft)


def _add(image: Image, contents: Contents, server: Server, end: EndOfDisk, draft: _Draft) -> None:
    """Add an EFI system partition with the loader on it."""
    table = contents.table
    because = "It has no EFI system partition."
    hand_over = find_menu(image, because=because, with_kernel=server.checks_signatures)
    files = read_loader_files()
    esp = build_esp(files.on_esp(hand_over_config(hand_over.menu)), sector_size=table.sector_size)
    try:
        placement = place_at_end(table, server.disk_size, esp.size, ahead_of=end.ahead_of)
    except NoRoom as error:
        raise Refused(
            error.message,
            detail=f"{because[:-1]}; the one to add has {esp.size} bytes. {error.detail}",
            hint=error.hint,
        ) from error
    draft.added = FatWrite(image=esp, placement=placement, reasons=(Reason.ADDED,), guid=uuid.uuid4())
    _hand_over(placement.number, files, hand_over, draft)


def _hand_over(partition: int, files: LoaderFiles, hand_over: HandOver, draft: _Draft) -> None:
    draft.loader = Loader(partition=partition, path=own_loader(), menu=hand_over.menu)
    draft.stages += stages_of_added(files)
    if hand_over.kernel is None:
        draft.kernel_unknown = True
    else:
        draft.stages.append(kernel_stage(*hand_over.kernel))


def _made_anew(
    image: Image, contents: Contents, server: Server, end: EndOfDisk, draft: _Draft
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
            limit = CONTENTS_LIMIT - sum(write.image.content_size for write in made)
            try:
                made.append(_one_anew(image, contents, part, reasons, draft, limit))
            except NotBootable as error:
                if reasons != [Reason.FALLBACK] or not server.has_entries:
                    raise
                draft.warnings.append(f"{error.detail} {_ENTRY_ONLY}")
    return made


def _one_anew(
    image: Image,
    contents: Contents,
    part: Partition,
    reasons: Sequence[Reason],
    draft: _Draft,
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


def _no_usable_loader(esp: ImageEsp) -> NotBootable:
    names = ", ".join(shown(path) for path in esp.others[:4])
    return NotBootable(
        MESSAGE,
        detail=f"Its EFI system partition (number {esp.part.number}) has loaders, but none for this machine"
        f" at a usual place: {names}.",
        hint="Use an image for this kind of machine; if it is one, name the loader: efiBootloaderPath.",
    )


def _no_such_loader(asked_for: str, esps: Sequence[ImageEsp]) -> Refused:
    if esps:
        numbers = ", ".join(str(esp.part.number) for esp in esps)
        detail = f"There is no such file on the image's EFI system partition (number {numbers})."
    else:
        detail = "The image has no EFI system partition."
    return Refused(
        f"The loader {shown(asked_for)} is not in the image.",
        detail=detail,
        hint="Correct options.efiBootloaderPath, or leave it out: the loader is then looked for.",
    )
