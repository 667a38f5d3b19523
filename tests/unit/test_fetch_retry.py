from dataclasses import replace

import pytest

from agent.fetch.broken import Broken, refused
from agent.fetch.retry import Patience, RetryPolicy, SpeedGuard
from tests.unit.test_fetch_common import FakeClock

AGAIN = Broken("The connection failed.")


def policy(clock: FakeClock, **changes: float) -> RetryPolicy:
    return replace(RetryPolicy(clock=clock, sleep=clock.sleep, chance=lambda: 1.0), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 407, 410, 416, 418, 451, 204, 300, 301, 304])
def test_a_final_status(status: int) -> None:
    assert refused(status).final


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_status_worth_another_attempt(status: int) -> None:
    assert not refused(status).final


def test_an_unknown_status_has_no_name() -> None:
    assert refused(599).reason == "The server answered with HTTP 599."
    assert refused(404).reason == "The server answered with HTTP 404 (Not Found)."


def test_delays_double_up_to_a_limit() -> None:
    plan = policy(FakeClock())
    assert [plan.delay(retry) for retry in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert plan.delay(10_000) == 30


def test_half_of_a_delay_is_chance() -> None:
    assert replace(policy(FakeClock()), chance=lambda: 0.0).delay(3) == 2.0
    delays = {RetryPolicy().delay(3) for _ in range(20)}
    assert len(delays) > 10
    assert all(2 <= delay <= 4 for delay in delays)


def test_retries_come_to_an_end() -> None:
    patience = Patience(policy(FakeClock()))
    assert [patience.wait(AGAIN) for _ in range(7)] == [1, 2, 4, 8, 16, 30, None]


def test_new_bytes_make_new_patience() -> None:
    patience = Patience(policy(FakeClock(), retries=2))
    for held in (100_000, 200_000, 300_000, 400_000):
        patience.received(held)
        assert patience.wait(AGAIN) == 1
        assert patience.wait(AGAIN) == 2
    assert patience.wait(AGAIN) is None


@pytest.mark.parametrize("held", [[100_000, 100_010, 100_020], [100_000, 90_000, 100_000]])
def test_a_few_bytes_or_old_bytes_do_not(held: list[int]) -> None:
    patience = Patience(policy(FakeClock(), retries=3))
    delays = []
    for size in held:
        patience.received(size)
        delays.append(patience.wait(AGAIN))
    assert delays == [1, 2, 4]
    assert patience.wait(AGAIN) is None


def test_final_is_final() -> None:
    assert Patience(policy(FakeClock())).wait(refused(404)) is None


def test_a_server_may_ask_for_time_within_limits() -> None:
    patience = Patience(policy(FakeClock()))
    assert patience.wait(refused(503, retry_after=50)) == 50
    assert patience.wait(refused(503, retry_after=5000)) == 120
    assert patience.wait(refused(503, retry_after=0.5)) == 4


def test_silence_has_a_limit() -> None:
    clock = FakeClock()
    patience = Patience(policy(clock, silence_limit=100))
    clock.now += 50
    patience.received(1)
    clock.now += 98
    assert patience.wait(AGAIN) == 1
    clock.now += 1
    assert patience.wait(AGAIN) is None


def test_the_whole_has_a_limit() -> None:
    clock = FakeClock()
    patience = Patience(policy(clock, whole_limit=100))
    clock.now += 100
    patience.received(5)
    assert patience.wait(AGAIN) is None
    clock.now += 1
    with pytest.raises(Broken) as caught:
        patience.received(6)
    assert caught.value.final


def test_time_in_which_nothing_could_be_taken_does_not_count() -> None:
    clock = FakeClock()
    patience = Patience(policy(clock, whole_limit=100))
    clock.now += 1000
    patience.pause(999)
    patience.received(5)


def test_a_slow_transfer_is_a_stall() -> None:
    clock = FakeClock()
    guard = SpeedGuard(policy(clock), 5000)
    clock.now += 59
    guard.check(5001)
    clock.now += 1
    with pytest.raises(Broken, match="stalled: 61439 bytes came in 60 s"):
        guard.check(5000 + 60 * 1024 - 1)


def test_a_transfer_that_is_just_fast_enough_is_not() -> None:
    clock = FakeClock()
    guard = SpeedGuard(policy(clock), 0)
    for window in range(1, 5):
        clock.now += 60
        guard.check(window * 60 * 1024)


def test_a_fast_beginning_does_not_make_up_for_a_stall_later() -> None:
    clock = FakeClock()
    guard = SpeedGuard(policy(clock), 0)
    clock.now += 60
    guard.check(1 << 30)
    clock.now += 60
    with pytest.raises(Broken):
        guard.check((1 << 30) + 5)
