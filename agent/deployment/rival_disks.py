"""Erasing from other disks what would be taken for the new system; only where ``options.rivals`` says so.

The disks are held from before the first write anywhere, so that one that is in use ends the deployment
while nothing has been changed. They are written to at the very end, when the new system is complete.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from agent.deployment.rivals import NewSystem, Rival, is_still_there
from agent.errors import Refused, words_of
from partitioning.disks import Disk
from partitioning.errors import DiskError
from partitioning.open_disk import OpenDisk
from partitioning.release import OnAction, ReleasePlan, plan_release, released_and_open
from partitioning.wipe import MARGIN

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalPlan:
    """What is erased, and what has to be stopped to get hold of the disks it is on."""

    rivals: tuple[Rival, ...]
    new: NewSystem
    releases: tuple[ReleasePlan, ...]


def plan_erasing(rivals: Iterable[Rival], new: NewSystem) -> RivalPlan:
    """Plan it; nothing is changed. Raises Refused for a disk that is in use."""
    doomed = tuple(rival for rival in rivals if rival.extent is not None)
    disks = {rival.disk.path: rival.disk for rival in doomed}
    return RivalPlan(rivals=doomed, new=new, releases=tuple(_release(disk) for disk in disks.values()))


def _release(disk: Disk) -> ReleasePlan:
    try:
        return plan_release(disk)
    except DiskError as error:
        raise _can_not_erase(disk, error) from error


def _can_not_erase(disk: Disk, error: DiskError) -> Refused:
    return Refused(
        f"What on {disk.path} would be taken for the new system can not be erased.",
        detail=f"{error.message} {error.detail}",
        hint=f"Free {disk.path}, or leave out options.rivals: then it is only warned of.",
    )


class HeldRivals:
    """Rivals on disks that are held open: each is erased if it is still there when the time comes."""

    def __init__(self, plan: RivalPlan, disks: dict[Disk, OpenDisk]) -> None:
        """Hold ``disks``; nothing is written."""
        self._new = plan.new
        self._disks = disks
        self._left = plan.rivals
        self._unread: set[str] = set()

    def forget_what_went(self, warn: Say) -> None:
        """Leave alone what went when the chosen disk was wiped: it is that disk, over another path.

        To be called after the wipe, and before the new system is written. What can not be read is left
        alone as well.
        """
        staying = []
        for rival in self._left:
            why = self._why_left_alone(rival)
            if why is None:
                staying.append(rival)
            else:
                warn(f"{rival.name} is left alone: {why}")
        self._left = tuple(staying)

    def _why_left_alone(self, rival: Rival) -> str | None:
        disk = self._disks[rival.disk]
        try:
            disk.drop_cache()
            if is_still_there(rival, disk, self._new):
                return None
        except DiskError as error:
            self._unread.add(rival.partuuid)
            return f"{error.message} {error.detail}"
        return "it went when the chosen disk was erased, so it may be that disk over another path."

    def erase(self, tell: Say, warn: Say) -> frozenset[str]:
        """Zero both ends of each; ``warn`` is told of what can not be erased. Nothing is raised.

        Gives the PARTUUIDs of those that are left, also of what could not be read.
        """
        failed = {rival.partuuid for rival in self._left if not self._erase(rival, tell, warn)}
        return frozenset(failed | self._unread)

    def _erase(self, rival: Rival, tell: Say, warn: Say) -> bool:
        disk = self._disks[rival.disk]
        try:
            if is_still_there(rival, disk, self._new):
                _zero_ends(disk, rival)
                disk.flush()
                tell(f"{rival.name} is erased")
        except Exception as error:  # whatever it is, the new system is complete
            warn(f"{rival.name} could not be erased and {rival.trouble} {words_of(error)}")
            return False
        return True


def hold_rivals(plan: RivalPlan, stack: ExitStack, on_action: OnAction) -> HeldRivals:
    """Free the disks and open them exclusively for as long as ``stack`` lives. Raises Refused."""
    return HeldRivals(
        plan, {release.disk: _hold(release.disk, stack, on_action) for release in plan.releases}
    )


def _hold(disk: Disk, stack: ExitStack, on_action: OnAction) -> OpenDisk:
    try:
        return stack.enter_context(released_and_open(disk, on_action=on_action))
    except DiskError as error:
        raise _can_not_erase(disk, error) from error


def _zero_ends(disk: OpenDisk, rival: Rival) -> None:
    if rival.extent is None:
        return
    start, size = rival.extent
    end = start + size
    first_end = min(end, start + MARGIN)
    disk.zero(start, first_end - start)
    disk.zero(max(first_end, end - MARGIN), end - max(first_end, end - MARGIN))


def release_lines(plan: RivalPlan) -> Sequence[str]:
    """Say what is stopped for it, a line each."""
    return [action.line for release in plan.releases for action in release.actions]
