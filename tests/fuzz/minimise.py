"""Keep the few and small inputs of many that together do all that the many do.

``python -m tests.fuzz.minimise qcow2`` looks at what the fuzzer left in build/fuzz/qcow2.
"""

import argparse
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import agent
from tests.fuzz.checks import check
from tests.fuzz.kept import keep, kept
from tests.fuzz.subject import Subject
from tests.fuzz.subjects import SUBJECTS

_ROOT = str(Path(agent.__file__).parent)

Step = tuple[str, int, int]
"""From one line of a function to another: its file, and the two numbers."""


def main() -> None:
    """Keep what does anything that none of what is kept does."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.minimise", description=__doc__)
    parser.add_argument("reader", choices=sorted(SUBJECTS))
    reader = parser.parse_args().reader
    known: set[Step] = set()
    for data in kept(reader).values():
        known |= steps(SUBJECTS[reader], data)
    found = [path.read_bytes() for path in sorted(Path("build/fuzz", reader).iterdir())]
    for data in _needed({data: steps(SUBJECTS[reader], data) for data in found}, known):
        keep(reader, data)


def _needed(found: dict[bytes, set[Step]], known: set[Step]) -> list[bytes]:
    """Give the smallest that do something new, without those of which all is done by larger ones."""
    chosen: list[bytes] = []
    so_far = set(known)
    for data in sorted(found, key=len):
        if not found[data] <= so_far:
            so_far |= found[data]
            chosen.append(data)
    for data in list(reversed(chosen)):
        others = known.union(*(found[other] for other in chosen if other != data))
        if found[data] <= others:
            chosen.remove(data)
    return chosen


def steps(subject: Subject, data: bytes) -> set[Step]:
    """Read ``data``, and give the steps that the agent's code does with it."""
    seen: set[Step] = set()
    with _traced(seen):
        check(subject, data)
    return seen


@contextmanager
def _traced(seen: set[Step]) -> Iterator[None]:
    def enter(frame: FrameType, _event: str, _value: Any) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(_ROOT):
            return None
        last = frame.f_code.co_firstlineno

        def step(inner: FrameType, event: str, _value: Any) -> Callable[..., Any]:
            nonlocal last
            if event == "line":
                seen.add((inner.f_code.co_filename, last, inner.f_lineno))
                last = inner.f_lineno
            return step

        return step

    before = sys.gettrace()
    threading.settrace(enter)
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)
        threading.settrace(None)


if __name__ == "__main__":
    main()
