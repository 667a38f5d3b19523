import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.reporting.rate import Rate
from tests.unit.test_reporting_common import Clock

MOVES = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 1 << 40)), min_size=1, max_size=30)


def test_rate_and_remaining_time() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.progress(0, 5000)
    clock.now += 2
    found = rate.progress(1000, 5000)
    assert (found.bytes_done, found.bytes_total) == (1000, 5000)
    assert (found.bytes_per_second, found.eta_seconds) == (500, 8)


def test_what_was_done_before_the_first_report_is_not_in_the_rate() -> None:
    clock = Clock()
    rate = Rate(clock)
    clock.now += 2
    found = rate.progress(90_000, 100_000)
    assert (found.bytes_per_second, found.eta_seconds) == (0, None)
    clock.now += 2
    found = rate.progress(90_200, 100_000)
    assert (found.bytes_per_second, found.eta_seconds) == (100, 98)


@pytest.mark.parametrize("total", [7000, None])
def test_other_bytes_that_are_counted_have_a_new_rate(total: int | None) -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.progress(0, total)
    clock.now += 2
    rate.progress(1000, total)
    clock.now += 1
    assert rate.progress(50_000, 100_000).bytes_per_second == 0
    clock.now += 2
    found = rate.progress(52_000, 100_000)
    assert (found.bytes_per_second, found.eta_seconds) == (1000, 48)


def test_a_byte_a_second_is_a_rate() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.progress(0, 20)
    clock.now += 10
    assert rate.progress(10, 20).eta_seconds == 10
    assert rate.progress(9, 20).eta_seconds is None


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    clock = Clock()
    rate = Rate(clock)
    done = 0
    for per_second, seconds in ((1000, 60), (10, 11)):
        for _ in range(seconds):
            clock.now += 1
            done += per_second
            found = rate.progress(done, 60_210)
    assert (found.bytes_per_second, found.eta_seconds) == (10, 10)


def test_a_work_that_begins_again_has_a_new_rate() -> None:
    clock = Clock()
    rate = Rate(clock)
    clock.now += 5
    rate.progress(5_000_000, None)
    clock.now += 1
    assert rate.progress(0, 1000).bytes_per_second == 0
    clock.now += 1
    assert rate.progress(100, 1000).bytes_per_second == 100
    clock.now += 1
    found = rate.progress(200, 1000)
    assert (found.bytes_per_second, found.eta_seconds) == (100, 8)


def test_the_first_moments_say_nothing_of_the_time_that_is_left() -> None:
    clock = Clock()
    rate = Rate(clock)
    rate.progress(0, 5000)
    clock.now += 1.9
    found = rate.progress(1900, 5000)
    assert (found.bytes_per_second, found.eta_seconds) == (1000, None)


@pytest.mark.parametrize("total", [None, 1000])
def test_no_remaining_time_where_nothing_moves(total: int | None) -> None:
    clock = Clock()
    rate = Rate(clock)
    assert rate.progress(0, total).eta_seconds is None
    clock.now += 100
    assert rate.progress(0, total).eta_seconds is None


@settings(deadline=None, max_examples=100)
@given(MOVES)
def test_no_number_is_negative_while_work_is_left(moves: list[tuple[float, int]]) -> None:
    clock = Clock()
    rate = Rate(clock)
    for seconds, done in moves:
        clock.now += seconds
        found = rate.progress(done, 1 << 40)
        assert found.bytes_per_second >= 0
        assert found.eta_seconds is None or found.eta_seconds >= 0


def test_memory_is_bounded() -> None:
    clock = Clock()
    rate = Rate(clock)
    for done in range(10_000):
        clock.now += 0.2
        rate.progress(done, None)
    assert len(rate._samples) < 60
