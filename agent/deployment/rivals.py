"""What on the other disks would be taken for the new system, or for its ConfigDrive, at boot.

cloud-init reads the first file system it finds that is labelled config-2, and a kernel command line or an
fstab with a file system's UUID means whichever disk shows it first. A disk of an earlier deployment of the
same image has both.
"""

from collections.abc import Iterable, Iterator, Sequence

from agent.images.image import Image
from configdrive.find import is_config_drive
from partitioning.byte_access import ByteReader, RangeReader
from partitioning.disks import Disk
from partitioning.errors import DiskError
from partitioning.open_disk import OpenDisk, open_for_reading
from partitioning.signatures import identify
from partitioning.table import Partition, PartitionTable, read_table


def find_rivals(
    image: Image, table: PartitionTable, others: Sequence[Disk], *, wants_config_drive: bool
) -> tuple[str, ...]:
    """Say what on the ``others`` would win over what is going to be deployed, a sentence for each.

    The disks are opened for reading only. One that can not be read is passed over: it may be failing, and
    is not the one that is written to.
    """
    uuids = set(_uuids(image.reader, table))
    return tuple(
        sentence
        for disk in others
        for sentence in _on_disk(disk, uuids, wants_config_drive=wants_config_drive)
    )


def _on_disk(disk: Disk, uuids: set[str], *, wants_config_drive: bool) -> list[str]:
    try:
        with open_for_reading(disk.path) as opened:
            return [
                sentence
                for name, reader in _file_systems(disk, opened)
                for sentence in _rivalry(name, reader, uuids, wants_config_drive=wants_config_drive)
            ]
    except DiskError:
        return []


def _rivalry(name: str, reader: ByteReader, uuids: set[str], *, wants_config_drive: bool) -> Iterator[str]:
    if wants_config_drive and is_config_drive(reader):
        yield (
            f"{name} is labelled config-2: cloud-init may read it instead of the new ConfigDrive. "
            f"Erase it (wipefs -a) or take the disk out before the server boots."
        )
    found = identify(reader)
    if found is not None and found.uuid in uuids:
        yield (
            f"{name} has the UUID {found.uuid} of a file system in the image: the server may boot into it "
            f"instead. Erase it (wipefs -a) or take the disk out before the server boots."
        )


def _file_systems(disk: Disk, opened: OpenDisk) -> Iterator[tuple[str, ByteReader]]:
    try:
        table = read_table(opened, opened.sector_size)
    except DiskError:
        yield str(disk.path), opened
        return
    for part in _readable(table):
        yield f"Partition {part.number} of {disk.path}", RangeReader(opened, part.start, part.size)


def _uuids(reader: ByteReader, table: PartitionTable) -> Iterator[str]:
    for part in _readable(table):
        found = identify(RangeReader(reader, part.start, part.size))
        if found is not None and found.uuid:
            yield found.uuid


def _readable(table: PartitionTable) -> Iterable[Partition]:
    return (part for part in table.partitions if not part.is_extended)
