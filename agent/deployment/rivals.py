"""What on the other disks would be taken for the new system, or for its ConfigDrive, at boot.

cloud-init reads the first file system it finds that is labelled config-2, and a kernel command line or an
fstab with a UUID, a label or a PARTUUID means whichever disk shows it first. A disk of an earlier deployment
of the same image has all of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.firmware import Firmware
from agent.images.image import Image
from agent.images.partition_window import partition_window
from agent.request.model import Rivals
from configdrive.find import is_config_drive
from partitioning.byte_access import ByteReader, RangeReader
from partitioning.disks import Disk, IgnoredReason
from partitioning.errors import DiskError, TableUnusable
from partitioning.gpt import has_backup
from partitioning.hardware_path import location_order
from partitioning.old_partitions import ByteRange
from partitioning.open_disk import OpenDisk, open_for_reading
from partitioning.partition_nodes import partition_path
from partitioning.signature_fields import FileSystem
from partitioning.signatures import identify
from partitioning.table import NoTable, Partition, PartitionTable, read_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Something on another disk; ``extent`` (bytes) is what would be erased, None for what never is.

    ``name`` is what people call it, ``device`` the path under which the kernel shows it.
    """

    disk: Disk
    name: str
    device: str
    trouble: str
    extent: ByteRange | None
    partuuid: str = ""
    """What Linux calls the partition by; empty for a whole disk."""

    def sentence(self, policy: Rivals) -> str:
        """Say what it is and what will be done about it, or what can be."""
        if self.extent is None:
            return f"{self.name} {self.trouble}"
        if policy is Rivals.ERASE:
            return f"{self.name} {self.trouble} It is erased, as options.rivals says."
        return (
            f"{self.name} {self.trouble} Erase it (wipefs -a {self.device}, or with options.rivals), or take"
            " the disk out before the server boots."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    """What makes something a rival; ``is_certain`` where nothing else can be meant: it may be erased."""

    text: str
    is_certain: bool


# A UUID as such. What FAT, NTFS and ISO 9660 have in its place is short, and two may have the same by chance.
_SURE_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSystem:
    """What the new system goes by."""

    uuids: frozenset[str]
    labels: frozenset[str]
    partuuids: frozenset[str]
    has_config_drive: bool
    firmware: Firmware | None
    location: str
    """Where the disk it goes to is plugged in."""


def describe_new_system(
    image: Image, table: PartitionTable, disk: Disk, *, firmware: Firmware | None, has_config_drive: bool
) -> NewSystem:
    """Gather what the image's file systems and partitions go by."""
    found = [*_file_systems(image.reader, table)]
    return NewSystem(
        uuids=frozenset(system.uuid for system in found if system.uuid),
        labels=frozenset(system.label for system in found if system.label),
        partuuids=frozenset(part.partuuid for part in table.partitions if not _is_nameless(part.partuuid)),
        has_config_drive=has_config_drive,
        firmware=firmware,
        location=disk.location,
    )


def _is_nameless(partuuid: str) -> bool:
    """Tell whether it is that of a partition in an MBR without a disk signature, as many disks have it."""
    return partuuid.startswith("00000000-") and len(partuuid) < _SURE_LENGTH


def find_rivals(new: NewSystem, others: Sequence[Disk], *, afresh: bool = False) -> tuple[Rival, ...]:
    """Find what on the ``others`` would win over the new system.

    ``afresh``: look past the cache. What the new system was written over may be there still, when one of the
    others is the same disk over another path. The disks are opened for reading only. One that can not be read
    is passed over: it may be failing, and is not the one that is written to.
    """
    seen = (disk for disk in others if disk.ignored not in _OTHER_PATHS)
    return tuple(rival for disk in seen for rival in _on_disk(disk, new, afresh=afresh))


def is_still_there(rival: Rival, opened: OpenDisk, new: NewSystem) -> bool:
    """Tell whether what made it a rival that is erased still stands on its disk. Raises DiskError."""
    if rival.extent is None:
        return False
    start, size = rival.extent
    # Signatures are not found where the disk can not be read, which must not pass for their being gone.
    opened.pread(min(size, _LOOKED_AT), start)
    trouble = _trouble_of_file_system(RangeReader(opened, start, size), new)
    return trouble is not None and trouble.is_certain


_LOOKED_AT = 1 << 20
_OTHER_PATHS = (IgnoredReason.SECOND_PATH, IgnoredReason.OFFLINE)


def _on_disk(disk: Disk, new: NewSystem, *, afresh: bool) -> list[Rival]:
    try:
        with open_for_reading(disk.path) as opened:
            if afresh:
                opened.drop_cache()
            return [*_rivals_on(disk, opened, new)]
    except DiskError:
        return []


def _rivals_on(disk: Disk, opened: OpenDisk, new: NewSystem) -> Iterator[Rival]:
    try:
        table = read_table(opened, opened.sector_size)
    except TableUnusable as error:
        trouble = _trouble_of_file_system(opened, new)
        if trouble is not None:
            # What its partitions are can not be told where a table is damaged: then nothing is erased.
            whole = (0, disk.size) if isinstance(error, NoTable) and not has_backup(opened) else None
            yield _rival(disk, None, trouble, whole)
        return
    if new.firmware is Firmware.LEGACY and table.has_boot_code and _comes_first(disk, new):
        yield Rival(disk=disk, name=str(disk.path), device=str(disk.path), trouble=_BOOT_CODE, extent=None)
    for part in _readable(table):
        yield from _in_partition(disk, opened, part, new)


def _in_partition(disk: Disk, opened: OpenDisk, part: Partition, new: NewSystem) -> Iterator[Rival]:
    window = RangeReader(opened, part.start, part.size)
    if (trouble := _trouble_of_file_system(window, new)) is not None:
        yield _rival(disk, part, trouble, (part.start, part.size))
    elif (text := _trouble_of_name(window, part, new)) is not None:
        yield _rival(disk, part, _Trouble(text=text, is_certain=False), None)


def _rival(disk: Disk, part: Partition | None, trouble: _Trouble, extent: ByteRange | None) -> Rival:
    # A medium that is write protected, as a virtual one, is there all the same.
    erasable = trouble.is_certain and disk.ignored is not IgnoredReason.READ_ONLY
    return Rival(
        disk=disk,
        name=f"Partition {part.number} of {disk.path}" if part else str(disk.path),
        device=partition_path(disk.path, part.number) if part else str(disk.path),
        trouble=trouble.text,
        extent=extent if erasable else None,
        partuuid=part.partuuid if part else "",
    )


def _trouble_of_file_system(reader: ByteReader, new: NewSystem) -> _Trouble | None:
    if new.has_config_drive and is_config_drive(reader):
        text = "is labelled config-2: cloud-init may read it instead of the new ConfigDrive."
        return _Trouble(text=text, is_certain=True)
    found = identify(reader)
    if found is not None and found.uuid in new.uuids:
        text = (
            f"has the UUID {found.uuid} of a file system in the image: the server may boot into it instead."
        )
        return _Trouble(text=text, is_certain=len(found.uuid) >= _SURE_LENGTH)
    return None


def _trouble_of_name(reader: ByteReader, part: Partition, new: NewSystem) -> str | None:
    if part.partuuid in new.partuuids:
        return (
            f"has the PARTUUID {part.partuuid} of a partition in the image: where the image looks for that,"
            " it may be taken instead."
        )
    found = identify(reader)
    if found is not None and found.label in new.labels:
        return (
            f"has the label {found.label} of a file system in the image: where the image looks for a label,"
            " it may be taken instead."
        )
    return None


_BOOT_CODE = (
    "has boot code and is plugged in before the disk that is written: the BIOS may start it first. Set the"
    " order in the BIOS, or take the disk out."
)


def _comes_first(disk: Disk, new: NewSystem) -> bool:
    return disk.ignored is None and location_order(disk.location) < location_order(new.location)


def _file_systems(reader: ByteReader, table: PartitionTable) -> Iterator[FileSystem]:
    for part in _readable(table):
        found = identify(partition_window(reader, part))
        if found is not None:
            yield found


def _readable(table: PartitionTable) -> Iterable[Partition]:
    return (part for part in table.partitions if not part.is_extended)
