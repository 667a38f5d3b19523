"""What several checks need to know of this server. Reading it changes nothing."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.firmware import Firmware, running_firmware
from partitioning.errors import ExplainedError
from partitioning.group_config import GroupConfig
from partitioning.groups import DiskGroup, default_group_id, form_groups
from partitioning.inventory import read_inventory
from partitioning.release import ReleasePlan, plan_release
from partitioning.uefi.secure_boot import SecureBootState, read_secure_boot

Release = ReleasePlan | ExplainedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """``releases`` says for each group how its disk would be freed, or why it can not be.

    ``no_disks_known`` is why the disks can not be listed, None where they can. ``secure_boot`` is None where
    the firmware is legacy.
    """

    is_root: bool
    firmware: Firmware
    secure_boot: SecureBootState | None
    groups: tuple[DiskGroup, ...] = ()
    default_group: int = 1
    releases: Mapping[int, Release] = field(default_factory=dict)
    no_disks_known: str | None = None

    @property
    def is_uefi(self) -> bool:
        """Tell whether UEFI firmware has started this system."""
        return self.firmware is Firmware.UEFI


def look_at_server(config: GroupConfig) -> Server:
    """Look at the firmware and the disks."""
    firmware = running_firmware()
    groups, why = _groups(config)
    return Server(
        is_root=os.geteuid() == 0,
        firmware=firmware,
        secure_boot=read_secure_boot().state if firmware is Firmware.UEFI else None,
        groups=groups,
        default_group=default_group_id(config),
        releases={group.id: _release(group) for group in groups if group.disks},
        no_disks_known=why,
    )


def _groups(config: GroupConfig) -> tuple[tuple[DiskGroup, ...], str | None]:
    try:
        return form_groups(read_inventory(), config), None
    except ImportError as error:  # pyudev looks for its library when it is imported
        return (), str(error)
    except OSError as error:
        return (), os.strerror(error.errno or 0)


def _release(group: DiskGroup) -> Release:
    try:
        return plan_release(group.disks[0])
    except ExplainedError as error:
        return error
