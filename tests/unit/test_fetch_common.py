"""What the tests of the fetch package share; no tests in here."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.fetch.digest import Digest
from agent.fetch.download import download
from agent.fetch.downloaded import Downloaded
from agent.fetch.memory import MemoryBudget, MemoryView
from agent.fetch.retry import RetryPolicy
from agent.fetch.source import Source
from agent.fetch.spool import Spool

BODY = random.Random(1).randbytes(300_000)
OTHER = random.Random(2).randbytes(200_000)

# Waits that a test does not mean to run into are long: the machine may be busy with other tests.
QUICK = RetryPolicy(
    base_delay=0.001,
    max_delay=0.002,
    retry_after_limit=0.05,
    silence_limit=60,
    min_progress=1,
    connect_timeout=10,
    answer_timeout=10,
    stall_timeout=10,
    min_speed=1,
)


@dataclass
class Notes:
    """A listener that keeps what it hears."""

    notes: list[str] = field(default_factory=list)
    steps: list[tuple[int, int | None]] = field(default_factory=list)

    def progress(self, done: int, total: int | None) -> None:
        self.steps.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(frozen=True)
class Fetched:
    """What a successful download left behind."""

    result: Downloaded
    data: bytes
    notes: list[str]
    steps: list[tuple[int, int | None]]


def budget(*, available: int = 1 << 40) -> MemoryBudget:
    """Give a budget over a machine that always has this much memory."""
    return MemoryBudget(_FixedView(amount=available), reserve=0)


@dataclass(frozen=True, kw_only=True)
class _FixedView(MemoryView):
    amount: int

    def available(self) -> int:
        return self.amount


def fetch(
    url: str | Source,
    *,
    digest: Digest | None = None,
    policy: RetryPolicy = QUICK,
    room: MemoryBudget | None = None,
    on_first_bytes: Callable[[bytes], None] | None = None,
    listener: Notes | None = None,
) -> Fetched:
    """Download from a server of the test's own and return all that came of it."""
    source = Source(url=url, trust_env=False) if isinstance(url, str) else url
    heard = listener or Notes()
    with Spool() as spool:
        result = download(
            source,
            spool,
            digest=digest or Digest(),
            budget=room or budget(),
            policy=policy,
            listener=heard,
            on_first_bytes=on_first_bytes,
        )
        return Fetched(result, spool.pread(spool.size, 0), heard.notes, heard.steps)


class FakeClock:
    """A clock that moves only when told, or when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class SleepLog:
    """Notes each wait and does not wait."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        time.sleep(0)
