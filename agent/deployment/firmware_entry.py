"""The step that tells the firmware of the new system, when the disk is complete."""

from agent.boot.boot_entry import NoEntry, by_itself, entry_words, make_entry
from agent.deployment.context import Context
from agent.deployment.plan import DeploymentPlan
from agent.deployment.steps import Step
from agent.errors import NoEntryMade, words_of
from partitioning.uefi.names import shown


def enter_into_firmware(context: Context, plan: DeploymentPlan, kept: frozenset[str]) -> None:
    """Make the boot entry; entries for the partitions ``kept`` (PARTUUIDs) stay.

    Without an entry the disk starts by its fallback path, so that is a warning. Raises NoEntryMade where it
    does not.
    """
    if plan.entry is None:
        return
    with context.step(Step.ENTRY):
        try:
            entry = make_entry(plan.entry, plan.target.disk.path, warn=context.reporter.warn, kept=kept)
        except NoEntry as why:
            _without_entry(context, plan, why)
        except Exception as error:  # whatever it is, the disk is done
            _without_entry(context, plan, NoEntry(words_of(error).rstrip(".")))
        else:
            context.reporter.note(f"The firmware's boot entry is {entry_words(entry)}")


def _without_entry(context: Context, plan: DeploymentPlan, why: NoEntry) -> None:
    if plan.boot.entry_only and plan.boot.loader is not None:
        loader = plan.boot.loader
        raise NoEntryMade(
            f"{why} {plan.boot.entry_only}",
            disk_path=str(plan.target.disk.path),
            partition=loader.partition,
            loader=shown(loader.path),
        ) from why
    context.reporter.warn(by_itself(why))
