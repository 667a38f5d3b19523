"""Runs all ways, taking turns: what disturbs the machine for a while then disturbs them all."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from testbed.cache import cache_root

from benchmarks import machine
from benchmarks.image_server import image_server
from benchmarks.ironic import ironic_python
from benchmarks.measured_run import Command, RunFailed, measure
from benchmarks.reference_image import ReferenceImage
from benchmarks.results import Figures, Measured, Results
from benchmarks.target_disk import DiskKind, TargetDisk
from benchmarks.ways import DD_SOURCE_SIZE, Link, Place, Way

_LARGER = 2 << 30
"""Bytes that the disk is larger than the image."""
_RAM = Path("/dev/shm")
_REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is to be measured."""

    size_gib: int
    rate: int
    """Bytes a second of the limited link."""
    rounds: int
    cores: int
    disk: DiskKind
    only: Sequence[str] = ("*",)
    """Patterns of the keys of ways."""


def run_benchmarks(settings: Settings, ways: Sequence[Way], image: ReferenceImage) -> Results:
    """Measure each way in each round. A way that fails is not tried again, and says why."""
    ways = [way for way in ways if any(fnmatch(way.key, pattern) for pattern in settings.only)]
    found: dict[str, list[Figures]] = {way.key: [] for way in ways}
    failures: dict[str, str] = {}
    with _bench(settings, image) as bench:
        for number in range(settings.rounds):
            for way in ways:
                if way.key not in failures:
                    _say(f"{settings.size_gib} GiB, round {number + 1} of {settings.rounds}: {way.key} ")
                    _take_turn(bench, way, found, failures)
    return Results(
        machine=machine.described(),
        size_gib=settings.size_gib,
        rate=settings.rate,
        rounds=settings.rounds,
        cores=settings.cores,
        disk=settings.disk,
        allocated=image.facts.allocated,
        packed={form.label: packed.size for form, packed in image.facts.forms.items()},
        ways=[_measured(way, found[way.key], failures.get(way.key)) for way in ways],
    )


def _take_turn(bench: "_Bench", way: Way, found: dict[str, list[Figures]], failures: dict[str, str]) -> None:
    try:
        figures = bench.run(way)
    except RunFailed as failed:
        failures[way.key] = str(failed)
        _say(f"failed, {failed}\n")
        return
    found[way.key].append(figures)
    _say(f"{figures.seconds:.1f} s, {figures.cpu_seconds:.1f} s of CPU time\n")


def _measured(way: Way, runs: list[Figures], failure: str | None) -> Measured:
    image = way.form.label if way.form else "–"  # noqa: RUF001 - an empty cell is shown by a dash
    return Measured(key=way.key, title=way.title, image=image, link=way.link, runs=runs, failure=failure)


class _Bench:
    """A disk, servers and folders that all runs use."""

    def __init__(self, settings: Settings, disk: TargetDisk, place: Place, folder: Path) -> None:
        self._cpus = machine.measured_cpus(settings.cores)
        self._disk = disk
        self._place = place
        self._folder = folder

    def run(self, way: Way) -> Figures:
        """One run, on a disk full of old data, with the image's file in the kernel's cache."""
        if way.writes:
            self._disk.fill()
        if way.form is not None:
            _read(self._place.image.path(way.form))
        self._place.ram.mkdir()
        before = self._disk.written()
        try:
            with self._disk.at_its_speed():
                usage = measure(self._command(way), self._disk.flush)
        finally:
            shutil.rmtree(self._place.ram)
        figures = Figures(
            seconds=usage.seconds,
            cpu_seconds=usage.cpu_seconds,
            peak_memory=usage.peak_memory,
            bytes_written=self._disk.written() - before,
        )
        self._check(way)
        return figures

    def _command(self, way: Way) -> Command:
        environment = {
            "BYOI_AGENT_RUN_DIR": str(self._folder / "run"),
            "PYTHONPATH": str(_REPOSITORY),
            "TMPDIR": str(self._place.ram),
        }
        return Command(
            argv=way.command(self._place),
            cpus=self._cpus,
            log=self._folder / "log",
            environment=environment,
        )

    def _check(self, way: Way) -> None:
        self._disk.drop_cache()
        if way.whole and not self._place.image.is_on(self._disk.path):
            raise RunFailed("the image is not on the disk")


@contextmanager
def _bench(settings: Settings, image: ReferenceImage) -> Iterator[_Bench]:
    with ExitStack() as stack:
        # On the disk of the cache, not in memory: there it would count as memory that was taken.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=cache_root())))
        memory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="byoi-bench-", dir=_RAM)))
        _say("filling the disk with old data\n")
        size = (settings.size_gib << 30) + _LARGER
        disk = stack.enter_context(TargetDisk(folder / "disk", size, settings.disk))
        disk.fill()
        servers = {
            link: stack.enter_context(
                image_server(image.directory, bytes_per_second=rate, cpus=machine.server_cpus(settings.cores))
            )
            for link, rate in ((Link.LIMITED, settings.rate), (Link.UNLIMITED, None))
        }
        place = Place(
            image=image,
            disk=disk.path,
            servers=servers,
            ram=memory / "run",
            dd_source=_random_file(memory / "dd-source"),
            ironic_python=ironic_python(),
        )
        yield _Bench(settings, disk, place, folder)


def _random_file(path: Path) -> Path:
    with Path("/dev/urandom").open("rb") as source:
        path.write_bytes(source.read(DD_SOURCE_SIZE))
    return path


def _read(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(8 << 20):
            pass


def _say(text: str) -> None:
    print(text, end="", file=sys.stderr, flush=True)
