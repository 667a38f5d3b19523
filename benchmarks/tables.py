"""Results as Markdown."""

from collections.abc import Callable, Iterable

from benchmarks.results import Figures, Measured, Results
from benchmarks.targets import Outcome, outcomes

_MIB = 1 << 20
_NOTHING = "–"  # noqa: RUF001 - an empty cell is shown by a dash


def report(results: Results) -> str:
    """All of one run: what was measured, the table, and the targets."""
    return "\n\n".join([_heading(results), ways_table(results), targets_table(outcomes(results))]) + "\n"


def _heading(results: Results) -> str:
    packed = ", ".join(f"{size / 1e9:.2f} GB as {form}" for form, size in results.packed.items())
    return (
        f"{results.machine}; {results.cores} cores for what is measured. Image: {results.size_gib} GiB with "
        f"{results.allocated / 1e9:.2f} GB of data, {packed}. Link: {results.rate / 1e6:.0f} MB/s. "
        f"Disk: {results.disk}. {_rounds(results.rounds)}"
    )


def _rounds(count: int) -> str:
    return "One round." if count == 1 else f"Medians of {count} rounds; in brackets the best."


def ways_table(results: Results) -> str:
    """A line for each way."""
    columns = ("", "image", "link", "seconds", "CPU seconds", "peak memory, MiB", "written, MB")
    return _table(columns, (_way_row(way, results.rate) for way in results.ways), numbers_from=3)


def _way_row(way: Measured, rate: int) -> tuple[str, ...]:
    link = {"limited": f"{rate / 1e6:.0f} MB/s", "unlimited": "no limit"}.get(way.link, _NOTHING)
    if not way.runs:
        return (way.title, way.image, link, "failed", *[_NOTHING] * 3)
    return (
        way.title,
        way.image,
        link,
        f"{way.median(_seconds):.1f} ({way.best(_seconds):.1f})",
        f"{way.median(lambda run: run.cpu_seconds):.1f}",
        f"{way.median(_peak) / _MIB:.0f}",
        f"{way.median(lambda run: run.bytes_written) / 1e6:.0f}",
    )


def targets_table(found: Iterable[Outcome]) -> str:
    """A line for each target."""
    columns = ("target", "image", "limit", "medians", "bests", "")
    return _table(columns, map(_target_row, found), numbers_from=2)


def _target_row(outcome: Outcome) -> tuple[str, ...]:
    target = outcome.target
    limit = f"{'≥' if target.at_least else '≤'} {target.limit:.2f}"
    verdict = {True: "pass", False: "**fail**", None: "not measured"}[outcome.met]
    medians, bests = _number(outcome.by_medians), _number(outcome.by_bests)
    return (target.title, target.form.label, limit, medians, bests, verdict)


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.3f}"


def growth_report(results: list[Results]) -> str:
    """How time, CPU time and memory grow with the image, for each number of cores."""
    sizes = sorted({one.size_gib for one in results})
    names = ", ".join(f"{size} GiB" for size in sizes)
    first = results[0]
    link = f"Link: {first.rate / 1e6:.0f} MB/s. Disk: {first.disk}."
    parts = [f"{first.machine}. Images of {names}. {link} {_rounds(first.rounds)}"]
    for title, figure in _GROWING:
        columns = ("", "link", "cores", *(f"{size} GiB" for size in sizes))
        parts += [f"{title}:", _table(columns, _growth_rows(results, sizes, figure), numbers_from=3)]
    return "\n\n".join(parts) + "\n"


def _growth_rows(
    results: list[Results], sizes: list[int], figure: Callable[[Measured], str]
) -> Iterable[tuple[str, ...]]:
    found = {(one.cores, one.size_gib, way.key): way for one in results for way in one.ways if way.runs}
    cores = sorted({one.cores for one in results})
    for shown in results[0].ways:
        link = {"limited": "limited", "unlimited": "no limit"}.get(shown.link, _NOTHING)
        for count in cores:
            cells = (found.get((count, size, shown.key)) for size in sizes)
            yield (shown.title, link, str(count), *(figure(way) if way else _NOTHING for way in cells))


def _seconds(run: Figures) -> float:
    return run.seconds


def _peak(run: Figures) -> float:
    return run.peak_memory


_GROWING: tuple[tuple[str, Callable[[Measured], str]], ...] = (
    ("Seconds", lambda way: f"{way.median(_seconds):.1f}"),
    ("CPU seconds", lambda way: f"{way.median(lambda run: run.cpu_seconds):.1f}"),
    ("Peak memory, MiB", lambda way: f"{way.median(_peak) / _MIB:.0f}"),
)


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, numbers_from: int) -> str:
    rules = ["---" if index < numbers_from else "--:" for index in range(len(columns))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, rules, *rows))
