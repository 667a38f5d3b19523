"""Whether a firmware would find something to start in an image.

UEFI: an EFI system partition with a loader at the fallback path, \\EFI\\BOOT\\BOOT{machine}.EFI (UEFI
specification 2.10, section 3.5.1.1): a disk that is moved to a server has no boot entry there.
Legacy: boot code in the first sector; where a GPT has a BIOS boot partition, that code goes on there.
"""

from dataclasses import dataclass

from agent.firmware import Firmware
from agent.images.errors import NotBootable
from agent.images.partition_window import partition_window
from partitioning.byte_access import ByteReader
from partitioning.fat.file_system import FatError, FatFileSystem
from partitioning.table import Partition, PartitionTable
from partitioning.uefi.names import fallback_path, runs_here, shown

_SECTOR = 512
_HEADERS = 4096
_MOST_ESPS = 4
"""How many EFI system partitions are looked into; no sound image has more than a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootFit:
    """For each firmware the reason why it could not start the image; None where it can."""

    legacy: str | None
    uefi: str | None

    @property
    def able(self) -> tuple[str, ...]:
        """Name the kinds of firmware that could start it."""
        return tuple(name for name, why in (("legacy", self.legacy), ("uefi", self.uefi)) if why is None)

    @property
    def missing(self) -> tuple[str, ...]:
        """Give the reasons why the others could not."""
        return tuple(why for why in (self.legacy, self.uefi) if why is not None)

    def missing_for(self, firmware: Firmware) -> str | None:
        """Give the reason why ``firmware`` could not start the image."""
        return self.uefi if firmware is Firmware.UEFI else self.legacy


def boot_fit(reader: ByteReader, table: PartitionTable) -> BootFit:
    """Look for what each firmware needs."""
    return BootFit(legacy=_missing_for_legacy(reader, table), uefi=_missing_for_uefi(reader, table))


def require(fit: BootFit, firmware: Firmware | None) -> None:
    """Raise NotBootable when ``firmware`` (None: neither one) could start the image."""
    if firmware is not None:
        if (reason := fit.missing_for(firmware)) is not None:
            raise NotBootable(
                f"The image can not boot on this server's {_NAMES[firmware]} firmware.",
                detail=reason,
                hint="Use an image made for this firmware, or name the one the disk is meant for (bootType).",
            )
    elif fit.legacy is not None and fit.uefi is not None:
        raise NotBootable(
            "The image can not boot on any firmware.",
            detail=f"{fit.legacy} {fit.uefi}",
            hint="Say which firmware the disk is for (options.bootType): what is missing may be added then."
            " Or use an image with boot code in its first sector, or with a loader in an ESP.",
        )


def require_by_table(table: PartitionTable, firmware: Firmware | None) -> None:
    """Raise NotBootable when the table alone says that ``firmware`` (None: neither) can start the image.

    What UEFI lacks is added where it is asked for.
    """
    if firmware is not Firmware.UEFI:
        require(BootFit(legacy=_legacy_fault(table), uefi=_uefi_fault(table)), firmware)


_NAMES = {Firmware.UEFI: "UEFI", Firmware.LEGACY: "legacy"}


def _missing_for_legacy(reader: ByteReader, table: PartitionTable) -> str | None:
    if (fault := _legacy_fault(table)) is not None:
        return fault
    for part in table.partitions:
        if part.is_bios_boot and not any(reader.pread(_SECTOR, part.start)):
            return f"Legacy: the BIOS boot partition (number {part.number}) is empty."
    return None


def _legacy_fault(table: PartitionTable) -> str | None:
    if table.sector_size != _SECTOR:
        return f"Legacy: firmware of this kind starts no disk with sectors of {table.sector_size} bytes."
    return None if table.has_boot_code else "Legacy: there is no boot code in the image's first sector."


def _missing_for_uefi(reader: ByteReader, table: PartitionTable) -> str | None:
    if (fault := _uefi_fault(table)) is not None:
        return fault
    partitions = [part for part in table.partitions if part.is_esp][:_MOST_ESPS]
    reasons = [_missing_in_esp(reader, part) for part in partitions]
    return None if None in reasons else f"UEFI: {reasons[0]}"


def _uefi_fault(table: PartitionTable) -> str | None:
    has_one = any(part.is_esp for part in table.partitions)
    return None if has_one else "UEFI: the image has no EFI system partition."


def _missing_in_esp(reader: ByteReader, part: Partition) -> str | None:
    try:
        volume = FatFileSystem(partition_window(reader, part))
        loader = volume.find(fallback_path())
        is_file = loader is not None and not loader.is_directory
        is_loader = is_file and runs_here(volume.read_start(fallback_path(), _HEADERS))
    except (FatError, EOFError) as error:
        return f"the EFI system partition (number {part.number}) can not be read: {error}"
    if not is_loader:
        return f"the EFI system partition (number {part.number}) has no loader at {shown(fallback_path())}."
    return None
