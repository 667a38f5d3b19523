"""What a boot plan is made of, while it is worked out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.boot.fat_write import FatWrite, Reason
from agent.boot.hand_over_menu import MESSAGE
from agent.firmware import Firmware
from agent.images.errors import NotBootable
from agent.images.grub_look import GrubMenu
from partitioning.new_partition import Placement
from partitioning.uefi.boot_chain import Stage
from partitioning.uefi.secure_boot import SecureBoot, SecureBootState

_ENTRY_ONLY = "The disk starts by its boot entry only."


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """What the firmware starts: a file on the EFI system partition with this number."""

    partition: int
    path: str
    arguments: str = ""
    menu: GrubMenu | None = None
    """The menu it hands over to, where it is one that was added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What counts of the server and of the request: firmware, disk size (bytes), a loader asked for.

    ``secure_boot`` is None where no firmware is going to ask, as for a regular file.
    """

    firmware: Firmware | None
    disk_size: int
    asked_for: str | None = None
    secure_boot: SecureBoot | None = None
    no_entries: str | None = "none is asked for"
    """Why no boot entry can be made; None where one can."""

    @property
    def has_entries(self) -> bool:
        """Tell whether the firmware gets a boot entry."""
        return self.no_entries is None

    @property
    def knows_signatures(self) -> bool:
        """Tell whether it counts what is signed: where Secure Boot is on, and where that is not known."""
        return self.secure_boot is not None and self.secure_boot.state is not SecureBootState.OFF

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
class Draft:
    """What is to be added to the image's own FAT file systems, by partition, while it is worked out."""

    loader: Loader | None = None
    stages: list[Stage] = field(default_factory=list)
    kernel_unknown: bool = False
    added: FatWrite | None = None
    files: dict[int, Mapping[str, bytes]] = field(default_factory=dict)
    reasons: dict[int, Reason] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    entry_only: str = ""

    def needs_entry(self, why: str, server: Server) -> None:
        """Note that nothing at the fallback path will start the disk. Raises NotBootable without entries."""
        if not server.has_entries:
            raise NotBootable(
                MESSAGE,
                detail=f"{why} A boot entry would be needed, and none can be made: {server.no_entries}.",
                hint="Put the loader there in the image, or let boot entries be made (efibootmgr, efivarfs).",
            )
        self.entry_only = why
        self.warnings.append(f"{why} {_ENTRY_ONLY}")
