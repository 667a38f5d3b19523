"""What ansible-playbook shows of a deployment while it runs."""

from typing import Any

from ansible_collections.byoi.agent.plugins.plugin_utils.narrator import Narrator, progress_words, size

PROGRESS = {
    "event": "progress",
    "bytesDone": 1_200_000_000,
    "bytesTotal": 2_400_000_000,
    "bytesPerSecond": 95_000_000,
    "etaSeconds": 13,
}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def started(title: str) -> dict[str, Any]:
    return {"event": "step_started", "step": "x", "message": title}


def test_a_step_is_told_at_once_and_of_several_the_last() -> None:
    narrator = Narrator(Clock())
    assert narrator.lines([started("Choosing the disk"), started("Downloading")]) == ["Downloading"]
    assert narrator.lines([]) == []
    assert narrator.lines([started("Writing")]) == ["Writing"]


def test_progress_is_told_every_ten_seconds() -> None:
    clock = Clock()
    narrator = Narrator(clock)
    narrator.lines([started("Downloading")])
    clock.now = 9.0
    assert narrator.lines([PROGRESS]) == []
    clock.now = 11.0
    assert narrator.lines([PROGRESS]) == ["Downloading: 50 %, 1.2 GB of 2.4 GB, 95 MB/s, 13 s left"]
    clock.now = 12.0
    assert narrator.lines([PROGRESS]) == []


def test_progress_of_a_step_that_has_ended_is_not_told() -> None:
    clock = Clock()
    narrator = Narrator(clock)
    narrator.lines([started("Downloading")])
    clock.now = 60.0
    assert narrator.lines([PROGRESS, started("Writing")]) == ["Writing"]


def test_what_is_not_known_of_progress_is_left_out() -> None:
    assert progress_words({"bytesDone": 512, "bytesTotal": None, "bytesPerSecond": 0}) == "512 B"
    assert progress_words({"bytesDone": 0, "bytesTotal": 10, "etaSeconds": 0}) == "0 %, 0 B of 10 B, 0 s left"


def test_sizes_have_three_digits() -> None:
    assert [size(n) for n in (0, 999, 1000, 999_499, 999_600, 34_799_616, 8_589_934_592)] == [
        *("0 B", "999 B", "1 kB", "999 kB", "1 MB", "34.8 MB", "8.59 GB")
    ]
