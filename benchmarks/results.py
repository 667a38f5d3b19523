"""What a run of the benchmarks found, and its form on disk."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.target_disk import DiskKind


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one run took, all its processes together; memory and writes in bytes."""

    seconds: float
    cpu_seconds: float
    peak_memory: int
    bytes_written: int


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All runs of one way."""

    key: str
    title: str
    image: str
    link: str
    runs: list[Figures]
    failure: str | None = None
    """Why there are no more runs."""

    def median(self, figure: Callable[[Figures], float]) -> float:
        """The median of one figure over the runs."""
        return statistics.median(map(figure, self.runs))

    def best(self, figure: Callable[[Figures], float]) -> float:
        """The least that any run took."""
        return min(map(figure, self.runs))


@dataclass(frozen=True, kw_only=True)
class Results:
    """One run of the benchmarks."""

    machine: str
    size_gib: int
    rate: int
    """Bytes a second of the limited link."""
    rounds: int
    cores: int
    disk: DiskKind
    allocated: int
    """Bytes of data in the image."""
    packed: dict[str, int]
    """Bytes of the image's file in each form."""
    ways: list[Measured]

    def way(self, key: str) -> Measured | None:
        """The way with this key, if it was measured and at least one run succeeded."""
        return next((way for way in self.ways if way.key == key and way.runs), None)


_FILE = TypeAdapter(list[Results])


def save(results: list[Results], path: Path) -> None:
    """Write them as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_FILE.dump_json(results, indent=1) + b"\n")


def load(path: Path) -> list[Results]:
    """Read what ``save`` has written."""
    return _FILE.validate_json(path.read_bytes())
