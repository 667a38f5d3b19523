"""A status as a person reads it, all at once."""

from agent.reporting.plain import disk_lines, progress_words
from agent.status import Status


def status_lines(current: Status) -> list[str]:
    """Give the lines; texts in them may come from outside."""
    told = "" if current.message == current.status else f": {current.message}"
    words = [f"{current.servername}: {current.status}{told}"]
    when = f"started {current.started_at}"
    if current.finished_at:
        when += f", finished {current.finished_at}"
    words.append(f"  {current.description or 'Deployment'}, {when}")
    if current.progress is not None:
        words.append(f"  {progress_words(current.progress)}")
    if current.detail:
        words.append(f"  {current.detail}")
    words += disk_lines(current)
    words += [f"  Warning: {warning}" for warning in current.warnings]
    if current.hint:
        words.append(f"  What to do: {current.hint}")
    return words
