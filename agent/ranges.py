"""Ranges of bytes, such as those of a file that were given back."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator


class Ranges:
    """Ranges of bytes; neighbours are joined, so that there are as few as there are gaps between them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._length = 0

    @property
    def length(self) -> int:
        """How many bytes they are in all."""
        return self._length

    def add(self, start: int, end: int) -> tuple[int, int]:
        """Add the range from ``start`` to ``end``, and give the whole that it is a part of now."""
        first, last = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
            self._length -= sum(self._ends[first:last]) - sum(self._starts[first:last])
        self._length += end - start
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]
        return start, end

    def overlap(self, start: int, end: int) -> bool:
        """Tell whether any byte from ``start`` to ``end`` was given back."""
        first = bisect_right(self._ends, start)
        return start < end and first < len(self._starts) and self._starts[first] < end

    def clear(self) -> None:
        """Begin with none again."""
        self._starts.clear()
        self._ends.clear()
        self._length = 0

    def gaps(self, end: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges from 0 to ``end`` that are in none of them."""
        at = 0
        for start, following in zip(self._starts, self._ends, strict=True):
            if at < min(start, end):
                yield at, min(start, end)
            at = following
        if at < end:
            yield at, end
