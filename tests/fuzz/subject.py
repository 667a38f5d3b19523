"""What is fuzzed: how a kind of file is opened, and what may differ when it is read in another way."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum, auto

from agent.fetch.spool import Spool
from agent.fetch.stream_spool import StreamSpool
from agent.images.image import Image
from partitioning.errors import ExplainedError
from tests.fuzz.sparse_disk import SparseDisk


class Agreement(Enum):
    """Whether a file says the same to who has all of it and to who reads it while it comes."""

    SAME = auto()
    """What is read has to be the same."""
    WHOLE_ONLY = auto()
    """It is sound, and of a kind that is refused while it comes, in so many words."""
    CONTRADICTION = auto()
    """It says one thing here and another there: either may be read, or an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A file that is on its way."""

    file: StreamSpool
    """Gets the bytes."""
    open: Callable[[], Image]
    complete: Callable[[], None] = lambda: None
    """Makes sure, when all has come, that it was right."""
    size: Callable[[], int | None] = lambda: None
    """Gives how long the image is, when all has come, where its beginning does not tell."""
    needs_room: bool = True
    """Whether it can be that the window has no room for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A kind of file."""

    name: str
    open: Callable[[Spool, ExitStack], Image]
    """Opens a file that is all there; what has to be closed afterwards goes to the stack."""
    arrive: Callable[[ExitStack, int, int], Arrival]
    """Begins with one that comes, and of which so many bytes are held; the last is how long it is."""
    agreement: Callable[[bytes], Agreement] = lambda _: Agreement.SAME
    judge: Callable[[bytes, SparseDisk | None, ExplainedError | None], None] = lambda *_: None
    """Compares what a file reads as, or the error it was refused with, with another program's opinion."""
