"""The EFI system partitions that an image brings along, and the loaders on them."""

from collections.abc import Iterator
from dataclasses import dataclass

from agent.boot.fat_write import volume_in
from agent.boot.find_loader import FoundLoader, find_loader, loader_at, some_loaders
from agent.images.image import Image
from partitioning.fat.file_system import FatError, FatFileSystem
from partitioning.table import Partition, PartitionTable
from partitioning.uefi.names import BOOT_DIRECTORY, fallback_path, suffix

_MOST_ESPS = 4
_MOST_FILE = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageEsp:
    """An EFI system partition of the image; ``volume`` is None where it can not be read, as ``why`` says.

    ``loader`` is what this machine's firmware can start from it, ``others`` are some of the loaders for which
    that does not hold, or which nobody can tell.
    """

    part: Partition
    volume: FatFileSystem | None
    loader: FoundLoader | None
    others: tuple[str, ...] = ()
    why: str = ""


def image_esps(
    image: Image, table: PartitionTable, *, asked_for: str | None, by_entry: bool
) -> tuple[ImageEsp, ...]:
    """Look into all of them; ``asked_for`` is the one loader that will do, if the request names one.

    ``by_entry`` is whether the firmware gets a boot entry for what is found.
    """
    parts = [part for part in table.partitions if part.is_esp][:_MOST_ESPS]
    return tuple(_look(image, part, asked_for, by_entry=by_entry) for part in parts)


def _look(image: Image, part: Partition, asked_for: str | None, *, by_entry: bool) -> ImageEsp:
    try:
        volume = volume_in(image, part)
        loader = loader_at(volume, asked_for) if asked_for else find_loader(volume, by_entry=by_entry)
        others = () if loader else some_loaders(volume)
    except (FatError, EOFError) as error:
        return ImageEsp(part=part, volume=None, loader=None, why=str(error))
    return ImageEsp(part=part, volume=volume, loader=loader, others=others)


def fallback_files(volume: FatFileSystem, loader: FoundLoader) -> dict[str, bytes]:
    """Give what has to stand at the fallback path so that ``loader`` starts from there as well.

    A shim starts the GRUB beside it, so that comes along, and so does GRUB's configuration there. The
    shim's fallback program does not: it would start what the CSV files name, and reset the server first.
    Raises FatError.
    """
    files = {fallback_path(): volume.read(loader.path, _MOST_FILE)}
    for name in _companions(volume, loader):
        files[f"{BOOT_DIRECTORY}/{name}"] = volume.read(f"{loader.directory}/{name}", _MOST_FILE)
    return files


def _companions(volume: FatFileSystem, loader: FoundLoader) -> Iterator[str]:
    if not loader.path.rpartition("/")[2].lower().startswith("shim"):
        return
    wanted = (f"grub{suffix()}.efi", f"mm{suffix()}.efi", "grub.cfg")
    for name in wanted:
        entry = next((one for one in volume.list(loader.directory) if one.matches(name)), None)
        if entry is not None and not entry.is_directory:
            yield entry.name
