"""The parts of the benchmarks that would go wrong without anyone seeing it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from testbed.link_rate import LinkRate

from benchmarks.document import put
from benchmarks.results import Figures, Measured, Results, load, save
from benchmarks.tables import growth_report, report
from benchmarks.target_disk import DiskKind
from benchmarks.targets import outcomes
from benchmarks.ways import all_ways, growth_ways


class Time:
    """A clock that only sleeping moves, which takes longer than it was asked for."""

    def __init__(self, late: float) -> None:
        self.now = 1000.0
        self.late = late

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self.late


@pytest.mark.parametrize("late", [0.0, 0.001, 0.02])
def test_a_link_keeps_its_rate_although_sleeping_takes_too_long(late: float) -> None:
    time = Time(late)
    link = LinkRate(100_000_000, clock=time.clock, sleep=time.sleep)
    link.begin()
    for _ in range(1000):
        link.wait_for(1_000_000)
    assert time.now - 1000.0 == pytest.approx(10.0, abs=late + 0.001)


def test_a_link_does_not_catch_up_with_the_time_before_an_answer() -> None:
    time = Time(0.0)
    link = LinkRate(1_000_000, clock=time.clock, sleep=time.sleep)
    link.begin()
    link.wait_for(1_000_000)
    time.now += 60
    link.begin()
    link.wait_for(1_000_000)
    assert time.now == pytest.approx(1062.0)


def test_a_link_does_not_catch_up_with_what_a_slow_receiver_did_not_take() -> None:
    time = Time(0.0)
    link = LinkRate(1_000_000, clock=time.clock, sleep=time.sleep)
    link.begin()
    time.now += 60
    link.wait_for(1_000_000)
    assert time.now == pytest.approx(1061.0, abs=0.1)


def figures(seconds: float, bytes_written: int = 4_000) -> Figures:
    return Figures(seconds=seconds, cpu_seconds=1.0, peak_memory=1 << 20, bytes_written=bytes_written)


def results(seconds: Mapping[str, list[float]], *, size_gib: int = 10, cores: int = 2) -> Results:
    ways = [
        Measured(
            key=way.key,
            title=way.title,
            image=way.form.label if way.form else "",
            link=way.link,
            runs=[figures(value) for value in seconds.get(way.key, [])],
            failure=None if way.key in seconds else "it broke",
        )
        for way in all_ways()
    ]
    return Results(
        machine="a machine",
        size_gib=size_gib,
        rate=100_000_000,
        rounds=3,
        cores=cores,
        disk=DiskKind.CACHED,
        allocated=4_000,
        packed={},
        ways=ways,
    )


TIMES = {
    "download/zlib/limited": [10.0, 11.0, 30.0],
    "stream/zlib/limited": [11.0, 12.1, 12.0],
    "ram-convert/zlib/limited": [24.0, 24.0, 24.0],
    "ironic/zlib/limited": [35.0, 35.0, 35.0],
}


def test_targets_are_ratios_of_medians_and_of_bests() -> None:
    found = {
        (outcome.target.title, outcome.target.form.label): outcome for outcome in outcomes(results(TIMES))
    }
    download = found["time of `stream` / download alone", "qcow2, zlib"]
    assert download.by_medians == pytest.approx(12 / 11)
    assert download.by_bests == pytest.approx(1.1)
    assert download.met is False
    convert = found["time of RAM, then `qemu-img convert` / `stream`", "qcow2, zlib"]
    assert convert.by_medians == pytest.approx(2.0)
    assert convert.met is True
    ironic = found["time of ironic-python-agent / `stream`", "qcow2, zlib"]
    assert ironic.by_medians == pytest.approx(35 / 12)
    assert ironic.met is False
    written = found["bytes written by `stream` / data in the image", "qcow2, zlib"]
    assert (written.by_medians, written.met) == (1.0, True)
    assert found["time of `stream` / download alone", "qcow2, zstd"].met is None


def test_every_target_names_ways_that_are_measured() -> None:
    everything = results({way.key: [1.0] for way in all_ways()})
    assert all(outcome.met is not None for outcome in outcomes(everything))


def test_a_way_that_failed_is_shown_as_failed() -> None:
    lines = report(results(TIMES)).splitlines()
    shown = {line.split("|")[1].strip(): line for line in lines if "| failed |" in line}
    assert "bmaptool" in shown
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 2


def test_growth_has_a_line_for_each_way_and_number_of_cores() -> None:
    found = [
        results({way.key: [float(size * cores)] for way in growth_ways()}, size_gib=size, cores=cores)
        for size in (1, 4)
        for cores in (1, 2)
    ]
    assert "| byoi-agent --staging stream | limited | 2 | 2.0 | 8.0 |" in growth_report(found)


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    save([results(TIMES)], tmp_path / "build/bench.json")
    assert load(tmp_path / "build/bench.json") == [results(TIMES)]


def test_a_table_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text("above\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nbelow\n")
    put(document, "bench", "new\n")
    put(document, "bench", "new\n")
    assert document.read_text() == "above\n<!-- bench: begin -->\n\nnew\n\n<!-- bench: end -->\nbelow\n"
    with pytest.raises(ValueError, match="no place"):
        put(document, "other", "new")


LEAVES_A_PROCESS = """
from pathlib import Path
import sys
from benchmarks.measured_run import Command, measure
command = Command(argv=["sh", "-c", "(sleep 0.3 &)"], cpus=[int(sys.argv[2])], log=Path(sys.argv[1]))
print(measure(command, lambda: None).seconds)
"""


def test_a_run_ends_with_the_last_of_its_processes(tmp_path: Path) -> None:
    # In a process of its own: measuring adopts orphans for the rest of its process's life.
    cpu = min(os.sched_getaffinity(0))
    argv = [sys.executable, "-c", LEAVES_A_PROCESS, str(tmp_path / "log"), str(cpu)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert float(done.stdout) >= 0.3
