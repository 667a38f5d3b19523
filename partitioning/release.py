"""Releasing a disk: what holds it is planned from top to bottom, shown, stopped, and then checked.

Nobody's data is lost by a stop alone; a mount or swap is never ended but refused.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from partitioning.command import CommandError, available, run
from partitioning.disk_paths import other_paths
from partitioning.disks import Disk
from partitioning.errors import DiskBusy, ReleaseFailed
from partitioning.holders import Holder, HolderKind, describe_holders, find_holders, walk
from partitioning.identity import assert_same_disk, assert_still_there
from partitioning.open_disk import OpenDisk, held_exclusively, open_exclusively
from partitioning.running_system import refuse_if_in_use
from partitioning.sysfs import REAL, BlockNode, Roots, node_named

# udev may put an array together again right after it was stopped; more often than this it means it.
_ROUNDS = 3
_FREE_WAIT = 10.0
_FREE_POLL = 0.2
_STOP_TIMEOUT = 60.0

OnAction = Callable[["ReleaseAction"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseAction:
    """One stop: a command, or a word to write into an attribute of sysfs. ``line`` is for a person."""

    line: str
    argv: tuple[str, ...] = ()
    attribute: Path | None = None
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasePlan:
    """All stops that free a disk, in order; none when it is free."""

    disk: Disk
    actions: tuple[ReleaseAction, ...]


def plan_release(disk: Disk, *, roots: Roots = REAL) -> ReleasePlan:
    """Plan how to free ``disk``; changes nothing.

    Raises DiskBusy for what is never stopped: the running system, a mount, swap, multipath, the unknown;
    DiskNotFound when the name of ``disk`` has come to mean another one.
    """
    assert_still_there(disk, roots=roots)
    refuse_if_in_use(disk, roots=roots)
    holders = find_holders(disk, roots=roots)
    _refuse_unstoppable(disk, holders)
    # Every holder comes after all that stands on it, also when several paths lead to it.
    once = {holder.sysname or holder.on: holder for holder in walk(holders)}
    ordered = sorted(once.values(), key=lambda holder: _is_md_container(holder, roots))
    return ReleasePlan(disk=disk, actions=tuple(_action(disk, holder, roots) for holder in ordered))


def carry_out(plan: ReleasePlan, *, on_action: OnAction | None = None, roots: Roots = REAL) -> None:
    """Stop what holds the disk and wait until it is free; ``on_action`` is called before each stop.

    What comes back by itself meanwhile is stopped again, a few times. Raises ReleaseFailed, which names
    who still holds, DiskBusy when somebody mounted it meanwhile, and DiskNotFound, before anything is
    stopped, when the name of the disk has come to mean another one.
    """
    for _ in range(_ROUNDS):
        assert_still_there(plan.disk, roots=roots)
        complaints = [*_carry_out_once(plan.actions, on_action)]
        left = _wait_until_free(plan.disk, roots)
        if not left:
            return
        plan = plan_release(plan.disk, roots=roots)
    raise ReleaseFailed(
        f"The disk {plan.disk.path} could not be released.",
        detail=" ".join([f"It is still held: {describe_holders(left)}.", *complaints]),
        hint="Stop by hand what holds it, then start again; byoi-agent disks shows the holders.",
    )


@contextmanager
def released_and_open(
    disk: Disk, *, on_action: OnAction | None = None, roots: Roots = REAL
) -> Iterator[OpenDisk]:
    """Free ``disk`` and hold it open exclusively over all of its paths, so that nothing can take it again.

    Between the last stop and the opening udev may assemble what stands on the disk once more; then all is
    done again, a few times. Raises what ``plan_release``, ``carry_out`` and ``open_exclusively`` raise,
    and DiskNotFound when the path has come to mean another disk.
    """
    with ExitStack() as stack:
        yield _release_and_open(disk, on_action, roots, stack)


def _release_and_open(disk: Disk, on_action: OnAction | None, roots: Roots, stack: ExitStack) -> OpenDisk:
    sector_size = disk.sector_size if disk.is_file else None
    rounds_left = _ROUNDS
    while True:
        rounds_left -= 1
        carry_out(plan_release(disk, roots=roots), on_action=on_action, roots=roots)
        with ExitStack() as attempt:
            try:
                opened = attempt.enter_context(open_exclusively(disk.path, sector_size=sector_size))
                for other in other_paths(disk, roots=roots):
                    attempt.enter_context(held_exclusively(other.path))
            except DiskBusy:
                if not rounds_left:
                    raise
                continue
            assert_same_disk(disk, opened, roots=roots)
            stack.push(attempt.pop_all())
            return opened


def _refuse_unstoppable(disk: Disk, holders: Iterable[Holder]) -> None:
    for holder in walk(holders):
        if holder.kind is HolderKind.MULTIPATH:
            raise DiskBusy(
                f"The disk {disk.path} is one path of the multipath device {holder.name}.",
                detail=f"{describe_holders(holders)}. A write through one path goes behind its back.",
                hint=f"Name the multipath device as the target: --disk /dev/mapper/{holder.name}",
            )
        if holder.kind is HolderKind.UNKNOWN:
            raise DiskBusy(
                f"The disk {disk.path} is in use.",
                detail=f"{describe_holders(holders)}. There is no known way to stop {holder.name}.",
                hint=f"Stop {holder.name} by hand, then start again.",
            )


def _is_md_container(holder: Holder, roots: Roots) -> bool:
    """Tell whether it is a container (IMSM, DDF): its volumes, which sysfs shows beside it, go first."""
    node = node_named(holder.sysname or "", roots)
    metadata = (node.read("md/metadata_version") if node else None) or ""
    return metadata.startswith("external:") and not metadata.startswith("external:/")


def _action(disk: Disk, holder: Holder, roots: Roots) -> ReleaseAction:
    line = f"stop {holder.title()} on {holder.on}{_also_on(disk, holder, roots)}"
    node = node_named(holder.sysname or holder.on, roots)
    if holder.kind is HolderKind.MD:
        return _stop_md(line, node, holder)
    if holder.kind is HolderKind.BCACHE:
        return _stop_bcache(line, node)
    if holder.kind is HolderKind.LOOP:
        return ReleaseAction(line=line, argv=("losetup", "--detach", f"/dev/{holder.name}"))
    # One by one rather than by `vgchange -an`: a volume group may also have volumes that stand on other
    # disks and are in use, and two old disks may carry volume groups of the same name.
    return ReleaseAction(line=line, argv=("dmsetup", "remove", "--retry", "--", holder.name))


def _also_on(disk: Disk, holder: Holder, roots: Roots) -> str:
    """Say which other disks lose it too."""
    node = node_named(holder.sysname or "", roots)
    names = sorted({bottom.name for bottom in node.bottoms()} - {disk.sysname}) if node else []
    return f", which also stands on {', '.join(names)}" if names else ""


def _stop_md(line: str, node: BlockNode | None, holder: Holder) -> ReleaseAction:
    if node is None or available("mdadm"):
        return ReleaseAction(line=line, argv=("mdadm", "--stop", f"/dev/{holder.name}"))
    # The kernel's own way (Documentation/admin-guide/md.rst), for a rescue system without mdadm.
    return ReleaseAction(line=line, attribute=node.directory / "md/array_state", word="clear")


def _stop_bcache(line: str, node: BlockNode | None) -> ReleaseAction:
    # Documentation/admin-guide/bcache.rst; a cache device is stopped with its whole cache set.
    directory = (node.directory if node else Path("/nonexistent")) / "bcache"
    stop = directory / "set/stop" if (directory / "set").exists() else directory / "stop"
    return ReleaseAction(line=line, attribute=stop, word="1")


def _carry_out_once(actions: Iterable[ReleaseAction], on_action: OnAction | None) -> Iterator[str]:
    """Carry out each action; yield what went wrong. Whether it matters, the holders left tell."""
    for action in actions:
        if on_action is not None:
            on_action(action)
        try:
            _perform(action)
        except CommandError as error:
            yield str(error)
        except OSError as error:
            yield f"{action.attribute}: {error.strerror}."


def _perform(action: ReleaseAction) -> None:
    if action.attribute is not None:
        action.attribute.write_text(action.word)
    else:
        run(action.argv, timeout=_STOP_TIMEOUT)


def _wait_until_free(disk: Disk, roots: Roots) -> tuple[Holder, ...]:
    """Return what still holds the disk when the time is up; nothing when it is free."""
    deadline = time.monotonic() + _FREE_WAIT
    while True:
        left = find_holders(disk, roots=roots)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_FREE_POLL)
