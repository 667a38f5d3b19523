"""What is promised of the agent's speed, as ratios of ways that were measured in one run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.reference_image import Form
from benchmarks.results import Figures, Measured, Results
from benchmarks.ways import Link, key_of


@dataclass(frozen=True, kw_only=True)
class Target:
    """Time of one way by that of another, or bytes written by the image's data, has a bound."""

    title: str
    form: Form
    numerator: str
    denominator: str | None
    """None: the bytes that ``numerator`` writes, by the image's data."""
    limit: float
    at_least: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A target with what was measured; None where one of its ways was not."""

    target: Target
    by_medians: float | None
    by_bests: float | None

    @property
    def met(self) -> bool | None:
        """Whether the medians meet it."""
        if self.by_medians is None:
            return None
        limit = self.target.limit
        return self.by_medians >= limit if self.target.at_least else self.by_medians <= limit


def outcomes(results: Results) -> list[Outcome]:
    """Every target that can be looked at in these results."""
    return [_outcome(target, results) for target in _targets()]


def _targets() -> Iterator[Target]:
    for form in (Form.ZLIB, Form.ZSTD):
        yield from _limited_link(form)
        yield from _unlimited_link(form)


def _limited_link(form: Form) -> Iterator[Target]:
    stream, memory, download, converted, ironic = (
        key_of(kind, form, Link.LIMITED) for kind in ("stream", "memory", "download", "ram-convert", "ironic")
    )
    yield _times("`stream` / download alone", form, stream, download, 1.08)
    yield _times("RAM, then `qemu-img convert` / `stream`", form, converted, stream, 1.7, at_least=True)
    yield _times("ironic-python-agent / `stream`", form, ironic, stream, 3.0, at_least=True)
    yield _times("`memory` / RAM, then `qemu-img convert`", form, memory, converted, 1.0)
    yield _written("`stream`", form, stream)
    yield _written("`memory`", form, memory)


def _unlimited_link(form: Form) -> Iterator[Target]:
    local = key_of("convert", form, Link.NONE)
    for mode in ("stream", "memory"):
        title = f"`{mode}`, link without limit / `qemu-img convert` alone"
        yield _times(title, form, key_of(mode, form, Link.UNLIMITED), local, 1.0)


def _times(
    title: str, form: Form, numerator: str, denominator: str, limit: float, *, at_least: bool = False
) -> Target:
    return Target(
        title=f"time of {title}",
        form=form,
        numerator=numerator,
        denominator=denominator,
        limit=limit,
        at_least=at_least,
    )


def _written(mode: str, form: Form, key: str) -> Target:
    title = f"bytes written by {mode} / data in the image"
    return Target(title=title, form=form, numerator=key, denominator=None, limit=1.02)


def _outcome(target: Target, results: Results) -> Outcome:
    above = results.way(target.numerator)
    if above is None:
        return Outcome(target=target, by_medians=None, by_bests=None)
    if target.denominator is None:
        allocated = results.allocated
        return Outcome(
            target=target,
            by_medians=above.median(_bytes_written) / allocated,
            by_bests=above.best(_bytes_written) / allocated,
        )
    below = results.way(target.denominator)
    return Outcome(
        target=target,
        by_medians=_ratio(above, below, Measured.median),
        by_bests=_ratio(above, below, Measured.best),
    )


def _ratio(
    above: Measured,
    below: Measured | None,
    over_runs: Callable[[Measured, Callable[[Figures], float]], float],
) -> float | None:
    return None if below is None else over_runs(above, _seconds) / over_runs(below, _seconds)


def _seconds(figures: Figures) -> float:
    return figures.seconds


def _bytes_written(figures: Figures) -> float:
    return figures.bytes_written
