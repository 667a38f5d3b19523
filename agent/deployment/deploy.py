"""A deployment from beginning to end. This file, and no other, knows the order of the steps.

Until WIPE nothing on any disk changes. From WIPE to ACTIVATE the disk can not boot: its first MiB is kept
in memory, and goes to the disk as the last write of all, when everything else has been read back.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

from agent.deployment.boot_view import boot_lines
from agent.deployment.context import Context
from agent.deployment.firmware_entry import enter_into_firmware
from agent.deployment.outline import Outline, make_outline
from agent.deployment.plan import DeploymentPlan, make_plan
from agent.deployment.plan_steps import steps_of_plan
from agent.deployment.read_back import read_back_head, read_back_tables
from agent.deployment.rival_disks import HeldRivals, hold_rivals
from agent.deployment.stage import Staged, stage
from agent.deployment.staging import require_ca_file
from agent.deployment.steps import Step
from agent.deployment.target import Target, choose_target
from agent.errors import StillBootable, words_of
from agent.images.errors import BadFormat
from agent.images.image import Image
from agent.images.written_image import written_image
from agent.interrupts import undisturbed
from agent.reporting.events import (
    Asked,
    BootAllowed,
    BootPrevented,
    DiskChosen,
    DiskTouched,
    Finished,
    Planned,
)
from agent.request.model import Erase
from agent.status import DiskStatus
from agent.writing.write_image import compare, write_image
from agent.writing.written import Written
from configdrive import drive
from partitioning import backup_gpt, new_partition
from partitioning.byte_access import NotThereYet
from partitioning.convert_table import convert_table
from partitioning.errors import ExplainedError
from partitioning.fat.on_disk import verify_fat, write_fat
from partitioning.held_head import HeldHead
from partitioning.old_partitions import ByteRange, old_partitions
from partitioning.open_disk import OpenDisk
from partitioning.partition_nodes import drop_partition_nodes
from partitioning.partition_types import ESP
from partitioning.release import ReleaseAction, released_and_open
from partitioning.reread_partitions import reread_partitions
from partitioning.table import Partition
from partitioning.wipe import erase_all, wipe_signatures

log = logging.getLogger(__name__)

Confirm = Callable[[DeploymentPlan | Outline], None]
"""Shows a person the plan and asks whether to go on, or raises. Nothing has been written by then."""

ESP_NAME = "EFI system partition"
"""Name of an added partition in a GPT."""

CONFIG_DRIVE_NAME = "config-2"
"""Name of the partition in a GPT; the file system in it has the same label."""


def deploy(context: Context, confirm: Confirm | None) -> None:
    """Put the image of the request on its disk; whatever goes wrong is raised."""
    target = choose(context)
    with ExitStack() as stack:
        staged = stage(context, target, stack)
        known = inspect(context, target, staged)
        if confirm is not None:
            context.reporter.tell(Asked())
            confirm(known)
        elif isinstance(known, DeploymentPlan):
            _tell_how_it_will_boot(context, known)
        _check_download(context, staged)
        disk, old, rivals = _release(context, known, stack)
        held = HeldHead(disk)
        _wipe(context, disk, old)
        if rivals is not None:
            rivals.forget_what_went(context.reporter.warn)
        size = _write(context, known.image, staged, disk, held)
        if isinstance(known, DeploymentPlan) and rivals is not None:
            plan = known
        else:
            plan, rivals = _look_at_disk(context, known, size, staged, disk, held, stack)
        _fit_table(context, plan, held)
        _make_bootable(context, plan, held)
        _write_config_drive(context, plan, held)
        _verify(context, plan, disk, held)
        # Between the disk that boots and the status that says so, nothing may come.
        with undisturbed():
            _activate(context, disk, held)
            kept = _erase_rivals(context, plan, rivals)
            enter_into_firmware(context, plan, kept)
            context.reporter.tell(Finished())


def _check_download(context: Context, staged: Staged) -> None:
    """Raise what the download has ended with since; of all steps, that one has failed then."""
    try:
        staged.check()
    except ExplainedError:
        with context.step(Step.FETCH):
            raise


def choose(context: Context) -> Target:
    """Choose the disk; what the request names beside it on this server is checked first."""
    with context.step(Step.DISK):
        require_ca_file(context.request)
        target = choose_target(context.request, context.group_config)
        disk = target.disk
        context.reporter.tell(
            DiskChosen(
                DiskStatus(path=_shown(disk.path), model=disk.model, serial=disk.serial, size=disk.size)
            )
        )
    return target


def _shown(path: Path) -> str:
    # A name that is no UTF-8 can not stand in JSON.
    return str(path).encode(errors="replace").decode()


def inspect(context: Context, target: Target, staged: Staged) -> DeploymentPlan | Outline:
    """Find out what the image is, and work out all that will be done with it, as far as it can be seen."""
    with context.step(Step.INSPECT):
        try:
            known = _known(context, target, staged)
        except ExplainedError:
            # What the image could not be read for may be the end of its download.
            staged.check()
            raise
        finally:
            staged.look_around()
        if isinstance(known, DeploymentPlan):
            _tell_plan(context, known)
    return known


def _known(context: Context, target: Target, staged: Staged) -> DeploymentPlan | Outline:
    image = staged.open()
    if staged.file_sum is not None:
        return make_plan(context.request, target, staged.file_sum, image)
    # First what the first sectors tell: the plan may have to wait for much more to come.
    outline = make_outline(context.request, target, image)
    try:
        plan = make_plan(context.request, target, None, image)
    except NotThereYet:
        pass
    else:
        # Where the size is not known, what can be refused has been refused, and the rest depends on it.
        if image.virtual_size is not None:
            return plan
    context.reporter.note(
        "not all that matters has come yet; the rest is looked at when it is written. What turns out"
        " impossible then leaves a disk that does not boot"
    )
    return outline


def _tell_plan(context: Context, plan: DeploymentPlan, *, was_written: bool = False) -> None:
    context.reporter.tell(Planned(steps_of_plan(plan, context.request, was_written=was_written)))
    for warning in plan.warnings:
        context.reporter.warn(warning)


def _tell_how_it_will_boot(context: Context, plan: DeploymentPlan) -> None:
    """Where nobody is asked, nobody has seen the plan either."""
    for line in boot_lines(plan):
        context.reporter.note(" ".join(line.split()))


def _release(
    context: Context, known: DeploymentPlan | Outline, stack: ExitStack
) -> tuple[OpenDisk, tuple[ByteRange, ...], HeldRivals | None]:
    """Stop what holds the disk and open it; give also where its old partitions are, and disks of rivals."""

    def note(action: ReleaseAction) -> None:
        context.reporter.note(action.line)

    with context.step(Step.RELEASE):
        rivals = hold_rivals(known.rivals, stack, note) if isinstance(known, DeploymentPlan) else None
        disk = stack.enter_context(released_and_open(known.target.disk, on_action=note))
        old = old_partitions(disk)
        drop_partition_nodes(disk)
    return disk, old, rivals


def _wipe(context: Context, disk: OpenDisk, old: tuple[ByteRange, ...]) -> None:
    with context.step(Step.WIPE):
        context.reporter.tell(DiskTouched())
        wipe_signatures(disk, old)
        context.reporter.tell(BootPrevented())
        if context.request.options.erase is Erase.FULL:
            erase_all(disk, lambda done: context.reporter.progress(done, disk.size))


def _write(context: Context, image: Image, staged: Staged, disk: OpenDisk, held: HeldHead) -> int:
    """Give how many bytes the image has on the disk."""

    def on_progress(done: int, total: int | None) -> None:
        staged.look_around()
        context.reporter.progress(*staged.progress(done, total), context.effort.limit())

    written = Written() if context.request.options.verify else None
    with context.step(Step.WRITE):
        try:
            size = write_image(image, disk, held, on_progress, context.effort, written)
        except BadFormat:
            staged.explain_damage()
            raise
        staged.complete()
    with context.step(Step.FLUSH):
        # With progress: on a slow disk it takes minutes, and that is not a hang.
        disk.flush(context.reporter.progress)
    if written is not None:
        with context.step(Step.COMPARE):
            compare(size, disk, held, context.reporter.progress, written)
    return size


def _look_at_disk(
    context: Context,
    known: DeploymentPlan | Outline,
    size: int,
    staged: Staged,
    disk: OpenDisk,
    held: HeldHead,
    stack: ExitStack,
) -> tuple[DeploymentPlan, HeldRivals]:
    """Make the plan from what was written, where it could not be made before."""
    with context.step(Step.LOOK), written_image(known.image, size, disk, held) as image:
        plan = make_plan(context.request, known.target, staged.file_sum, image, was_written=True)
        rivals = hold_rivals(plan.rivals, stack, lambda action: context.reporter.note(action.line))
        _tell_plan(context, plan, was_written=True)
        _tell_how_it_will_boot(context, plan)
    return plan, rivals


def _fit_table(context: Context, plan: DeploymentPlan, held: HeldHead) -> None:
    with context.step(Step.GPT):
        if plan.contents.made_for != held.sector_size:
            convert_table(held, made_for=plan.contents.made_for, sector_size=held.sector_size)
        if plan.contents.table.gpt is not None:
            backup_gpt.move_backup(held, held.sector_size)


def _make_bootable(context: Context, plan: DeploymentPlan, held: HeldHead) -> None:
    if not plan.boot.writes:
        return
    with context.step(Step.ESP):
        for write in plan.boot.writes:
            if write.guid is not None:
                place = write.placement
                new_partition.add(held, held.sector_size, place, kind=ESP, name=ESP_NAME, guid=write.guid)
            write_fat(held, write.placement.start, write.image)


def _write_config_drive(context: Context, plan: DeploymentPlan, held: HeldHead) -> None:
    if plan.config_drive is None:
        return
    with context.step(Step.CONFIGDRIVE):
        config_drive, sector_size = plan.config_drive, held.sector_size
        if config_drive.replaces is not None:
            _blank(held, config_drive.replaces)
            new_partition.remove(held, sector_size, config_drive.replaces.number)
        if config_drive.reuses is None:
            new_partition.add(
                held,
                sector_size,
                config_drive.placement,
                kind=config_drive.image.partition_type,
                name=CONFIG_DRIVE_NAME,
                guid=uuid4(),
            )
        place = config_drive.placement
        drive.write(held, place.start, place.size, config_drive.image)


def _blank(held: HeldHead, partition: Partition) -> None:
    # Its label would win over that of the new ConfigDrive; all of it stands within the first MiB.
    held.pwrite(bytes(min(partition.size, 1 << 20)), partition.start)


def _verify(context: Context, plan: DeploymentPlan, disk: OpenDisk, held: HeldHead) -> None:
    with context.step(Step.VERIFY):
        disk.flush()
        disk.drop_cache()
        read_back_tables(plan, held)
        for write in plan.boot.writes:
            verify_fat(held, write.placement.start, write.image)
        if plan.config_drive is not None:
            drive.verify(held, plan.config_drive.placement.start, plan.config_drive.image)


def _erase_rivals(context: Context, plan: DeploymentPlan, held: HeldRivals) -> frozenset[str]:
    """Give the PARTUUIDs of what could not be erased: the new system is complete all the same."""
    if not plan.rivals.rivals:
        return frozenset()
    with context.step(Step.RIVALS):
        return held.erase(context.reporter.note, context.reporter.warn)


def _activate(context: Context, disk: OpenDisk, held: HeldHead) -> None:
    with context.step(Step.ACTIVATE):
        context.reporter.tell(BootAllowed())
        try:
            held.commit()
            disk.drop_cache()
            read_back_head(disk, held)
        except BaseException as error:
            # Not even a bad ending leaves a disk that boots into something that was not read back.
            _withdraw(context, disk, held, error)
            raise
        _show_partitions(disk)


def _withdraw(context: Context, disk: OpenDisk, held: HeldHead, cause: BaseException) -> None:
    try:
        held.withdraw()
    except Exception as error:
        raise StillBootable(words_of(cause), words_of(error), disk_path=str(disk.path)) from cause
    context.reporter.tell(BootPrevented())


def _show_partitions(disk: OpenDisk) -> None:
    try:
        reread_partitions(disk)
    except Exception as error:  # the disk is done, whatever becomes of its picture here
        log.info("the kernel was not asked to read the table again: %s", type(error).__name__)
