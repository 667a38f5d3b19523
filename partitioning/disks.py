"""What is known about a disk, before anybody opens it."""

import os
import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from partitioning.errors import DiskUnsuitable
from partitioning.open_disk import DEFAULT_SECTOR_SIZE


class DiskKind(StrEnum):
    """What a provider's hardware list calls the disk."""

    NVME = "NVMe"
    SSD = "SSD"
    HDD = "HDD"
    FILE = "file"


class IgnoredReason(StrEnum):
    """Why a disk is listed but never in a group; fits after "it is"."""

    RUNNING_SYSTEM = "the disk the running system stands on"
    READ_ONLY = "read-only"
    USB = "a USB disk"
    REMOVABLE = "a removable medium"
    OFFLINE = "offline, or a standby path"
    SECOND_PATH = "another path to a disk that is listed"


# Files, memory, and disks elsewhere, shown as block devices by this system only.
_MADE_UP = re.compile(r"(loop|nbd|ram|zram|ublkb)\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileId:
    """What makes a regular file that file: its file system's device number and its inode."""

    device: int
    inode: int

    def __str__(self) -> str:
        """Say it as stat(1) does."""
        return f"inode {self.inode} on device {self.device:#x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A whole disk as it was when the inventory was read. Sizes are bytes.

    ``path`` and ``devno`` ("major:minor") hold for this run only; the kernel hands them out anew at every
    boot. ``diskseq`` is the kernel's sequence number: no two disks ever get the same one within a boot.
    ``controller`` and ``location`` say where the disk is plugged in and stay the same over boots.
    """

    path: Path
    sysname: str
    devno: str | None
    diskseq: int | None
    file_id: FileId | None = None
    by_id: tuple[str, ...] = ()
    by_path: tuple[str, ...] = ()
    model: str | None = None
    serial: str | None = None
    wwn: str | None = None
    size: int
    sector_size: int
    physical_sector_size: int
    rotational: bool = False
    transport: str | None = None
    removable: bool = False
    kind: DiskKind
    controller: str = ""
    location: str = ""
    ignored: IgnoredReason | None = None

    @property
    def is_file(self) -> bool:
        """Tell whether this is a regular file that is treated as a disk."""
        return self.kind is DiskKind.FILE

    @property
    def is_of_server(self) -> bool:
        """Tell whether the server's firmware could start from it: from no file, and no device made of one."""
        return not self.is_file and not _MADE_UP.fullmatch(self.sysname)

    def describe(self) -> str:
        """Give one line for a person: path, size, kind, model and serial number."""
        known = [self.model, f"serial {self.serial}" if self.serial else None]
        return ", ".join([f"{self.path}: {format_size(self.size)} {self.kind}", *filter(None, known)])


def format_size(size: int) -> str:
    """Give ``size`` (bytes) the way disks are sold: decimal units, three significant digits."""
    value, units = float(size), iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    # 999.5 would be rounded to 1000 of a unit.
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:.3g} {unit}" if value < 999.5 else f"{value:.0f} {unit}"


def file_disk(path: Path, *, sector_size: int | None = None) -> Disk:
    """Describe the regular file at ``path`` as a disk with sectors of ``sector_size`` bytes.

    Raises DiskUnsuitable when its size is not a positive multiple of the sector size.
    """
    status = path.stat()
    sector = sector_size or DEFAULT_SECTOR_SIZE
    if not stat.S_ISREG(status.st_mode) or status.st_size == 0 or status.st_size % sector:
        raise DiskUnsuitable(
            f"The file {path} can not serve as a disk.",
            detail=f"Its size, {status.st_size} bytes, is not a positive multiple of {sector} bytes.",
            hint="Give the file the size of a disk first: truncate -s 10G FILE",
        )
    return Disk(
        path=path,
        sysname=path.name,
        devno=None,
        diskseq=None,
        file_id=FileId(device=status.st_dev, inode=status.st_ino),
        size=status.st_size,
        sector_size=sector,
        physical_sector_size=sector,
        transport="file",
        kind=DiskKind.FILE,
        controller="file",
        location=os.fspath(path),
    )
