"""What a deployment is limited by."""

import pytest

from agent.effort import Effort, Limit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def found(clock: Clock, effort: Effort, **spent: float) -> Limit | None:
    for name, seconds in spent.items():
        effort.add(Limit(name), seconds)
    clock.now += 2.5
    return effort.limit()


@pytest.mark.parametrize(
    ("spent", "limit"),
    [
        ({}, None),
        ({"network": 2.0, "disk": 0.1}, Limit.NETWORK),
        ({"network": 1.0, "disk": 2.0, "processor": 1.0}, Limit.DISK),
        ({"network": 1.0, "disk": 1.0, "processor": 4.0}, Limit.PROCESSOR),
    ],
)
def test_what_sets_the_pace(clock: Clock, spent: dict[str, float], limit: Limit | None) -> None:
    assert found(clock, Effort(clock), **spent) is limit


def test_only_the_last_seconds_count(clock: Clock) -> None:
    effort = Effort(clock)
    assert found(clock, effort, disk=2.0) is Limit.DISK
    effort.add(Limit.NETWORK, 100.0)
    clock.now += 1
    assert effort.limit() is Limit.DISK
    clock.now += 1.5
    assert effort.limit() is Limit.NETWORK
    assert found(clock, effort, processor=1.0) is Limit.PROCESSOR


def test_the_time_of_a_block_counts(clock: Clock) -> None:
    effort = Effort(clock)
    with pytest.raises(OSError), effort.spent(Limit.DISK):
        clock.now += 3
        raise OSError
    assert effort.limit() is Limit.DISK
