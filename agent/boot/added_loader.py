"""A loader that is added to an image without one: to its EFI system partition, or with a new one."""

import uuid
from collections.abc import Sequence

from agent.boot.boot_draft import Draft, EndOfDisk, Loader, Server
from agent.boot.fat_write import FatWrite, Reason
from agent.boot.hand_over import hand_over_config
from agent.boot.hand_over_menu import MESSAGE, HandOver, find_menu
from agent.boot.hand_over_needs import require_loaders, require_tools_to_look
from agent.boot.image_esp import ImageEsp
from agent.boot.loader_files import LoaderFiles, own_loader, read_loader_files
from agent.boot.secure_boot_check import kernel_stage, stages_of_added
from agent.errors import Refused
from agent.images.errors import NotBootable
from agent.images.image import Image
from agent.images.inspect import Contents
from partitioning.errors import NoRoom
from partitioning.fat.file_system import FatFileSystem
from partitioning.new_partition import place_at_end
from partitioning.table import Partition, PartitionTable
from partitioning.uefi.esp import build_esp
from partitioning.uefi.names import shown

_NO_ESP = "It has no EFI system partition."


def hand_over_in(image: Image, esps: Sequence[ImageEsp], server: Server, draft: Draft) -> None:
    """Put the loader into the image's own EFI system partition, which has none. Raises NotBootable."""
    part, volume = _without_loader(esps)
    because = _no_loader(part)
    require_tools_to_look(because)
    hand_over = find_menu(image, because=because, with_kernel=server.checks_signatures)
    require_loaders(because)
    files = read_loader_files()
    if volume.exists(files.config_path):
        raise NotBootable(
            MESSAGE,
            detail=f"{because} A loader can not be added, as {shown(files.config_path)} is there already.",
            hint="Install the image's own loader on it (grub-install --removable), or remove that file.",
        )
    draft.files[part.number] = files.on_esp(hand_over_config(hand_over.menu))
    draft.reasons[part.number] = Reason.LOADER
    _hand_over(part.number, files, hand_over, server, draft)


def require_loader_addable(esps: Sequence[ImageEsp]) -> None:
    """Make sure that it can be put there, as far as they alone tell. Raises NotBootable, and Refused."""
    part, _ = _without_loader(esps)
    require_tools_to_look(_no_loader(part))
    require_loaders(_no_loader(part))


def _without_loader(esps: Sequence[ImageEsp]) -> tuple[Partition, FatFileSystem]:
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
    return readable[0]


def _no_loader(part: Partition) -> str:
    return f"Its EFI system partition (number {part.number}) has no loader."


def add_esp(image: Image, contents: Contents, server: Server, end: EndOfDisk, draft: Draft) -> None:
    """Add an EFI system partition with the loader on it. Raises NotBootable, and Refused without room."""
    require_tools_to_look(_NO_ESP)
    hand_over = find_menu(image, because=_NO_ESP, with_kernel=server.checks_signatures)
    require_loaders(_NO_ESP)
    files = read_loader_files()
    draft.added = _new_esp(files, hand_over_config(hand_over.menu), contents.table, server, end)
    _hand_over(draft.added.placement.number, files, hand_over, server, draft)


def require_esp_addable(table: PartitionTable, server: Server, end: EndOfDisk) -> None:
    """Make sure that one can be added, as far as the table alone tells. Raises Refused."""
    require_tools_to_look(_NO_ESP)
    require_loaders(_NO_ESP)
    _new_esp(read_loader_files(), b"", table, server, end)


def _new_esp(
    files: LoaderFiles, config: bytes, table: PartitionTable, server: Server, end: EndOfDisk
) -> FatWrite:
    esp = build_esp(files.on_esp(config), sector_size=table.sector_size)
    try:
        placement = place_at_end(table, server.disk_size, esp.size, ahead_of=end.ahead_of)
    except NoRoom as error:
        raise Refused(
            error.message,
            detail=f"{_NO_ESP[:-1]}; the one to add has {esp.size} bytes. {error.detail}",
            hint=error.hint,
        ) from error
    return FatWrite(image=esp, placement=placement, reasons=(Reason.ADDED,), guid=uuid.uuid4())


def _hand_over(partition: int, files: LoaderFiles, hand_over: HandOver, server: Server, draft: Draft) -> None:
    draft.loader = Loader(partition=partition, path=own_loader(), menu=hand_over.menu)
    if server.knows_signatures:
        draft.stages += stages_of_added(files)
    if hand_over.kernel is None:
        draft.kernel_unknown = True
    else:
        draft.stages.append(kernel_stage(*hand_over.kernel))


def _no_usable_loader(esp: ImageEsp) -> NotBootable:
    names = ", ".join(shown(path) for path in esp.others[:4])
    return NotBootable(
        MESSAGE,
        detail=f"Its EFI system partition (number {esp.part.number}) has loaders, but none for this machine"
        f" at a usual place, with what it starts beside it: {names}.",
        hint="Use an image for this kind of machine; if it is one, name the loader: efiBootloaderPath.",
    )
