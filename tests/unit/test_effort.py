"""What a deployment is limited by."""

import pytest

from agent.deployment.waiting import Beside, Waiting
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


def test_waiting_that_has_no_name(clock: Clock) -> None:
    effort = Effort(clock)
    effort.add(None, 1.5)
    assert found(clock, effort, processor=0.5) is None
    effort.add(None, 1.0)
    assert found(clock, effort, disk=1.5) is Limit.DISK
    assert found(clock, effort, network=0.0) is None


def test_a_file_of_this_system_comes_over_no_network(clock: Clock) -> None:
    effort = Effort(clock)
    waiting = Waiting(effort, is_local=True)
    waiting.add(Limit.NETWORK, 2.0)
    waiting.add(Limit.PROCESSOR, 0.1)
    assert found(clock, effort) is None
    waiting = Waiting(effort, is_local=False)
    waiting.add(Limit.NETWORK, 2.0)
    assert found(clock, effort) is Limit.NETWORK


def test_a_download_beside_other_work(clock: Clock) -> None:
    effort = Effort(clock)
    beside = Beside(effort)
    beside.add(Limit.NETWORK, 2.5)
    assert found(clock, effort, disk=1.0) is Limit.DISK
    # Who waits for a download that computes digests does not wait for the network.
    waiting = Waiting(effort, is_local=False, beside=beside)
    beside.add(Limit.PROCESSOR, 1.5)
    waiting.add(Limit.NETWORK, 2.0)
    assert found(clock, effort, disk=1.0) is Limit.PROCESSOR
    waiting.add(Limit.NETWORK, 2.0)
    assert found(clock, effort, disk=1.0) is Limit.NETWORK


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
