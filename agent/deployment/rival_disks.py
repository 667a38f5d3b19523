"""Erasing from other disks what would be taken for the new system; only where ``options.rivals`` says so.

The disks are held from before the first write anywhere, so that one that is in use ends the deployment
while nothing has been changed. They are written to at the very end, when the new system is complete.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from agent.deployment.rivals import NewSystem, Rival, is_still_there
from agent.errors import Refused
from partitioning.disks import Disk
from partitioning.errors import DiskError
from partitioning.open_disk import OpenDisk
from partitioning.release import OnAction, ReleasePlan, plan_release, released_and_open
from partitioning.wipe import MARGIN

RivalDisks = dict[Disk, OpenDisk]
"""The disks that rivals stand on, held open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalPlan:
    """What is erased, and what has to be stopped to get hold of the disks it is on."""

    rivals: tuple[Rival, ...]
    new: NewSystem
    releases: tuple[ReleasePlan, ...]


def plan_erasing(rivals: Iterable[Rival], new: NewSystem) -> RivalPlan:
    """Plan it; nothing is changed. Raises DiskBusy for a disk that is in use."""
    doomed = tuple(rival for rival in rivals if rival.extent is not None)
    disks = {rival.disk.path: rival.disk for rival in doomed}
    return RivalPlan(rivals=doomed, new=new, releases=tuple(_release(disk) for disk in disks.values()))


def _release(disk: Disk) -> ReleasePlan:
    try:
        return plan_release(disk)
    except DiskError as error:
        raise Refused(
            f"What on {disk.path} would be taken for the new system can not be erased.",
            detail=f"{error.message} {error.detail}",
            hint=f"Free {disk.path}, or leave out options.rivals: then it is only warned of.",
        ) from error


def hold_rival_disks(plan: RivalPlan, stack: ExitStack, on_action: OnAction) -> RivalDisks:
    """Free the disks and open them exclusively for as long as ``stack`` lives; nothing is written."""
    return {
        release.disk: stack.enter_context(released_and_open(release.disk, on_action=on_action))
        for release in plan.releases
    }


def erase_rivals(plan: RivalPlan, held: RivalDisks, tell: Callable[[str], None]) -> None:
    """Zero both ends of each rival, as far as it is still there. Raises DiskWriteError."""
    for rival in plan.rivals:
        disk = held[rival.disk]
        if is_still_there(rival, disk, plan.new):
            _erase(disk, rival)
            tell(f"{rival.name} is erased")
    _flush(held.values())


def _erase(disk: OpenDisk, rival: Rival) -> None:
    if rival.extent is None:
        return
    start, size = rival.extent
    end = start + size
    first_end = min(end, start + MARGIN)
    disk.zero(start, first_end - start)
    disk.zero(max(first_end, end - MARGIN), end - max(first_end, end - MARGIN))


def _flush(disks: Iterable[OpenDisk]) -> None:
    for disk in disks:
        disk.flush()


def release_lines(plan: RivalPlan) -> Sequence[str]:
    """Say what is stopped for it, a line each."""
    return [action.line for release in plan.releases for action in release.actions]
