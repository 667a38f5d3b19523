"""Secure Boot: the programs that would start one after another are judged before anything is written."""

from collections.abc import Sequence

from agent.boot.find_loader import FoundLoader, is_known_shim
from agent.boot.hand_over_menu import MESSAGE
from agent.boot.loader_files import LoaderFiles, own_loader
from agent.boot.memory_room import room_for_files
from agent.images.errors import NotBootable
from partitioning.fat.file_system import FatEntry, FatFileSystem
from partitioning.uefi.boot_chain import Role, Stage, check_chain
from partitioning.uefi.image_trust import Outcome
from partitioning.uefi.names import shown, suffix
from partitioning.uefi.secure_boot import SecureBoot

_MOST_FILE = 256 << 20
_HINT = (
    "Use an image whose loader and kernel are signed for Secure Boot, or switch Secure Boot off in the"
    " firmware's setup."
)


def doubt_about(secure_boot: SecureBoot, stages: Sequence[Stage]) -> str:
    """Judge ``stages``, given in the order in which they start each other.

    Gives as a sentence what could not be told, empty where all are accepted. Raises NotBootable when Secure
    Boot is on and one of them would be refused.
    """
    found = check_chain(secure_boot, stages)
    if found.outcome is Outcome.REFUSED:
        raise NotBootable(MESSAGE, detail=found.reason, hint=_HINT)
    return found.reason


def stages_on_esp(volume: FatFileSystem, loader: FoundLoader) -> list[Stage]:
    """Give the loader, and where it is a shim the GRUB beside it, which it starts. Raises FatError."""
    data = volume.read(loader.path, room_for_files(_MOST_FILE))
    stages = [Stage(role=Role.LOADER, path=shown(loader.path), data=data)]
    second = _entry(volume, loader.directory, f"grub{suffix()}.efi") if is_known_shim(data) else None
    if second is not None:
        path = f"{loader.directory}/{second.name}"
        room = room_for_files(_MOST_FILE)
        stages.append(Stage(role=Role.SECOND_STAGE, path=shown(path), data=volume.read(path, room)))
    return stages


def stages_of_added(files: LoaderFiles) -> list[Stage]:
    """Give the loader that is added, and what it starts."""
    return [
        Stage(role=Role.LOADER, path=shown(own_loader()), data=files.shim),
        Stage(role=Role.SECOND_STAGE, path=f"grub{suffix()}.efi", data=files.grub),
    ]


def kernel_stage(path: str, data: bytes) -> Stage:
    """Give the kernel that a menu starts."""
    return Stage(role=Role.KERNEL, path=path, data=data)


def _entry(volume: FatFileSystem, directory: str, name: str) -> FatEntry | None:
    found = (entry for entry in volume.list(directory) if entry.matches(name) and not entry.is_directory)
    return next(found, None)
