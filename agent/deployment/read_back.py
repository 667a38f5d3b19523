"""Reading back what was put on the disk, before it is said to be done."""

from agent.deployment.plan import DeploymentPlan
from agent.errors import ContentsDiffer
from partitioning import backup_gpt
from partitioning.errors import TableUnusable
from partitioning.held_head import HEAD_SIZE, HeldHead
from partitioning.open_disk import OpenDisk
from partitioning.table import Partition, read_table


def read_back_tables(plan: DeploymentPlan, held: HeldHead) -> None:
    """Check that the table is whole and holds the image's partitions, and the ConfigDrive's, unchanged.

    Raises TableUnusable.
    """
    table = read_table(held, held.sector_size)
    if table.gpt is not None and not backup_gpt.backup_agrees(held, table.gpt):
        raise _wrong("The backup GPT at the end of the disk does not agree with the primary.")
    found = {part.number: part for part in table.partitions}
    for part in _expected(plan):
        if found.pop(part.number, None) != part:
            raise _wrong(f"Partition {part.number} is not what it is in the image.")
    added = {made.placement.number for made in (plan.config_drive, plan.boot.added) if made is not None}
    if found.keys() - added:
        raise _wrong(f"There are partitions that should not be there: {sorted(found.keys() - added)}.")


def read_back_head(disk: OpenDisk, held: HeldHead) -> None:
    """Check that the first MiB on the disk is the one that was kept in memory. Raises ContentsDiffer."""
    length = min(HEAD_SIZE, disk.size)
    if disk.pread(length, 0) != held.pread(length, 0):
        raise ContentsDiffer(
            f"What is read from {disk.path} is not what was written.",
            detail=f"The first {length} bytes differ: boot code or partition table.",
            hint="The disk, its controller or the memory is faulty; use another disk.",
        )


def _expected(plan: DeploymentPlan) -> list[Partition]:
    gone = plan.config_drive.replaces if plan.config_drive else None
    return [part for part in plan.contents.table.partitions if part != gone]


def _wrong(detail: str) -> TableUnusable:
    return TableUnusable(
        "The partition table on the disk is not as it should be.",
        detail=detail,
        hint="Check the disk (dmesg, smartctl), then deploy again; use another disk if it happens twice.",
    )
