"""How large an image may be that is kept in memory while it is checked."""

from collections.abc import Iterator

from agent.deployment.staging import window_for_stream
from agent.doctor.check import Check, Result
from agent.fetch.errors import TooBigForMemory
from agent.fetch.memory import MemoryBudget
from agent.reporting.sizes import human_size


def check_memory() -> Iterator[Check]:
    """Yield it, with what happens to a larger one."""
    room = MemoryBudget().room()
    try:
        window_for_stream()
    except TooBigForMemory as error:
        yield Check(
            name="memory",
            result=Result.MISSING,
            found=f"{human_size(error.needed)} are needed, {human_size(max(0, error.available))} can be used",
            to_do="Stop what else runs here, or boot the rescue system on a server with more memory.",
        )
        return
    found = (
        "images are written while they come"
        if not room
        else (
            f"images in files of up to {human_size(room)} are checked as a whole before anything is written;"
            " larger ones are written while they come"
        )
    )
    yield Check(name="memory", result=Result.OK, found=found)
