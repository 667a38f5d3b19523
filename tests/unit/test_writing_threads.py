import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.writing import threads
from agent.writing.threads import in_threads
from partitioning.errors import DiskWriteError

DISK = Path("/dev/sdx")


def test_every_item_is_done_once_and_told_of() -> None:
    lock, seen = threading.Lock(), list[int]()

    def work(item: int) -> None:
        with lock:
            seen.append(item)

    assert sorted(in_threads(range(1000), work, path=DISK)) == list(range(1000))
    assert sorted(seen) == list(range(1000))


def test_nothing_to_do() -> None:
    assert list(in_threads([], lambda _: None, path=DISK)) == []


def test_no_more_items_are_taken_than_there_is_room_for() -> None:
    taken, go_on = list[int](), threading.Event()

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            if len(taken) == 20:
                go_on.set()  # more than may be under way: nobody waits for ever here
            yield item

    def work(_: int) -> None:
        go_on.wait(0.2)

    done = in_threads(items(), work, path=DISK)
    next(done)
    assert len(taken) < 20
    done.close()  # type: ignore[attr-defined]


def test_the_first_error_ends_it_and_nobody_works_on() -> None:
    started = list[int]()

    def work(item: int) -> None:
        started.append(item)
        if item == 5:
            raise ValueError("5")

    with pytest.raises(ValueError, match="5"):
        list(in_threads(range(10_000), work, path=DISK))
    count = len(started)
    assert count < 100
    assert not [one for one in threading.enumerate() if one.name.startswith("write-")]
    assert len(started) == count


def test_an_error_among_the_items_ends_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("items")

    with pytest.raises(ValueError, match="items"):
        list(in_threads(items(), lambda _: None, path=DISK))
    assert not [one for one in threading.enumerate() if one.name.startswith("write-")]


def test_a_disk_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_SILENCE", 0.2)
    monkeypatch.setattr(threads, "_ENDING", 0.1)
    answer = threading.Event()

    def wait(_: int) -> None:
        answer.wait()

    try:
        with pytest.raises(DiskWriteError) as caught:
            list(in_threads(range(100), wait, path=DISK))
    finally:
        answer.set()
    assert caught.value.message == "Writing to /dev/sdx has stopped."
