import signal
from collections.abc import Iterator

import pytest

from agent.errors import Interrupted
from agent.interrupts import interruptible, undisturbed

ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Whatever a test does, the signals are as before; and whoever has started it may ignore some."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in ALL}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def current() -> list[object]:
    return [signal.getsignal(number) for number in ALL]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_block(number: signal.Signals) -> None:
    with pytest.raises(Interrupted) as caught, interruptible():
        signal.raise_signal(number)
        raise AssertionError("not reached")
    assert caught.value.signal_number == number
    assert caught.value.message == "The deployment was interrupted."
    assert caught.value.detail == f"The agent received {number.name}."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_does_not_disturb_the_ending(number: signal.Signals) -> None:
    ended = False
    with pytest.raises(Interrupted), interruptible():
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            ended = True
    assert ended


def test_a_lost_terminal_does_not_end_it() -> None:
    with interruptible():
        signal.raise_signal(signal.SIGHUP)


def test_the_handlers_of_before_come_back() -> None:
    before = current()
    with interruptible():
        assert all(now is not was for now, was in zip(current(), before, strict=True))
    assert current() == before
    with pytest.raises(Interrupted), interruptible():
        signal.raise_signal(signal.SIGTERM)
    assert current() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_disturbs_what_must_not_be_disturbed(number: signal.Signals) -> None:
    done = False
    with interruptible():
        with undisturbed():
            signal.raise_signal(number)
            done = True
        with pytest.raises(Interrupted):
            signal.raise_signal(number)
    assert done


def test_signals_are_heard_again_after_an_error() -> None:
    before = current()
    with pytest.raises(ZeroDivisionError), undisturbed():
        raise ZeroDivisionError
    assert current() == before
