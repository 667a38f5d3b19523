"""The menu of the image's own GRUB, which a loader that is added can hand over to."""

from dataclasses import dataclass, field

from agent.errors import Refused
from agent.images.errors import NotBootable
from agent.images.grub_kernel import read_kernel
from agent.images.grub_look import GrubMenu, file_systems, menus
from agent.images.image import Image
from agent.images.raw_view import raw_view
from partitioning.command import CommandError, CommandMissing, CommandTimedOut
from partitioning.package_manager import how_to_install

MESSAGE = "The image can not boot on this server's UEFI firmware."


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """The menu, and the kernel of its first entry (path and content) where it was asked for and found."""

    menu: GrubMenu
    kernel: tuple[str, bytes] | None = field(repr=False)


def find_menu(image: Image, *, because: str, with_kernel: bool) -> HandOver:
    """Find the menu that a hand-over leads to; ``because`` says why one is needed, for the refusal.

    Raises NotBootable where there is none, and Refused where that can not be found out here.
    """
    first_other: GrubMenu | None = None
    try:
        with raw_view(image) as fd:
            for menu in menus(fd, file_systems(fd)):
                if menu.file_system.uuid and menu.has_entries:
                    return HandOver(menu=menu, kernel=read_kernel(fd, menu) if with_kernel else None)
                first_other = first_other or menu
    except CommandError as error:
        raise Refused(
            MESSAGE,
            detail=f"{because} To add a loader its file systems have to be read, and that failed:"
            f" {error.message} {error.detail}",
            hint=f"Use an image made for UEFI, or {_remedy(error)}",
        ) from error
    raise _no_menu(first_other, because)


def _remedy(error: CommandError) -> str:
    if isinstance(error, CommandMissing):
        return how_to_install([error.tool])
    if isinstance(error, CommandTimedOut):
        return f"{error.hint[0].lower()}{error.hint[1:]}"
    return "load the module fuse on the rescue system: modprobe fuse"


def _no_menu(found: GrubMenu | None, because: str) -> NotBootable:
    if found is not None:
        place = f"{found.directory}/grub.cfg"
        why = f"{place} lists no kernels itself (BLS entries), which a loader that is added can not read."
    else:
        why = "no grub.cfg was found in its file systems, which a loader that is added could hand over to."
    return NotBootable(
        MESSAGE,
        detail=f"{because} {why[0].upper()}{why[1:]}",
        hint="Use an image made for UEFI, or start the server in legacy mode.",
    )
