"""What the page shows: the full status, and beside it the words that every other reader is shown, too."""

from typing import Any

from agent.deployment.steps import titles
from agent.reporting.plain import progress_words
from agent.reporting.sizes import human_size, human_time
from agent.reporting.status_lines import status_lines
from agent.serve.watcher import Seen
from agent.status import DiskStatus, Progress, Status

NOTHING_YET = "There has been no deployment on this server yet."


def status_view(seen: Seen) -> dict[str, Any]:
    """Give what the page is sent: ``status`` (all fields), and ``words`` for people."""
    status = seen.status
    if status is None:
        return {"status": None, "words": {"nothing": seen.problem or NOTHING_YET}}
    return {"status": status.full(), "words": _words(status)}


def text_lines(seen: Seen) -> list[str]:
    """Give the same as lines of text, for a reader without scripts."""
    if seen.status is None:
        return [seen.problem or NOTHING_YET]
    return status_lines(seen.status)


def _words(status: Status) -> dict[str, Any]:
    names = [step.name for step in status.steps]
    told = {step.name: step.seconds for step in status.steps if step.seconds and step.seconds >= 1}
    return {
        "progress": progress_words(status.progress) if status.progress else None,
        "percent": _percent(status.progress),
        "disk": _disk_words(status.disk) if status.disk else None,
        "diskState": f"The disk {status.disk.path} {status.disk_state}." if status.disk else None,
        "titles": titles(names),
        "seconds": {name: human_time(seconds) for name, seconds in told.items()},
    }


def _percent(progress: Progress | None) -> int | None:
    if progress is None or not progress.bytes_total:
        return None
    return min(100, 100 * progress.bytes_done // progress.bytes_total)


def _disk_words(disk: DiskStatus) -> str:
    parts = [disk.path, disk.model, human_size(disk.size), f"serial {disk.serial}" if disk.serial else None]
    return ", ".join(part for part in parts if part)
