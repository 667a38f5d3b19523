"""The sum of the file, told as soon as it is known."""

from agent.deployment.context import Context
from agent.deployment.plan import FileSum
from agent.fetch.downloaded import Downloaded
from agent.reporting.events import SumKnown


def tell_sum(context: Context, value: str) -> None:
    """Tell that the sum of the file is ``value``."""
    context.reporter.tell(SumKnown(value))


def file_sum_of(context: Context, downloaded: Downloaded) -> FileSum:
    """Tell the sum of what was downloaded, and give it."""
    kind, value = next(iter(downloaded.digests.items()))
    tell_sum(context, value)
    return FileSum(kind=kind, value=value, asked_for=context.request.check_sum is not None)
