"""A disk in memory that keeps what is written to it in pieces, and sees that each byte is written once."""

import threading
from bisect import bisect_right
from itertools import pairwise

from agent.images.pieces import Buffer

_MOST_BYTES = 256 << 20


class SparseDisk:
    """A Store of ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.data: list[tuple[int, bytes]] = []
        self._zeroes: list[tuple[int, int]] = []
        self._held = 0
        self._lock = threading.Lock()

    def pwritev(self, buffers: list[Buffer], offset: int) -> None:
        content = b"".join(buffers)
        self._require_within(offset, len(content))
        with self._lock:
            self._held += len(content)
            assert self._held <= _MOST_BYTES, "a small file is much data"
            self.data.append((offset, content))

    def zero(self, offset: int, length: int) -> None:
        self._require_within(offset, length)
        with self._lock:
            self._zeroes.append((offset, length))

    def require_complete(self) -> None:
        """Make sure that each byte was written once, and join what stands together."""
        parts = [(offset, len(content)) for offset, content in self.data] + self._zeroes
        for (offset, length), (following, _) in pairwise([(0, 0), *sorted(parts), (self.size, 0)]):
            assert offset + length == following, f"not once: what is at {offset + length}, or {following}"
        self.data = _joined(sorted(self.data))
        self._zeroes = []

    def pread(self, length: int, offset: int) -> bytes:
        """Give what was written, after ``require_complete``."""
        result, end = bytearray(length), offset + length
        index = max(0, bisect_right(self.data, offset, key=lambda part: part[0]) - 1)
        for start, content in self.data[index:]:
            if start >= end:
                break
            first, last = max(offset, start), min(end, start + len(content))
            if first < last:
                result[first - offset : last - offset] = content[first - start : last - start]
        return bytes(result)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SparseDisk) and (self.size, self.data) == (other.size, other.data)

    __hash__ = None  # type: ignore[assignment]

    def _require_within(self, offset: int, length: int) -> None:
        assert length > 0
        assert 0 <= offset <= offset + length <= self.size, f"{length} bytes at {offset} of {self.size}"


def _joined(parts: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    groups: list[tuple[int, list[bytes]]] = []
    end = -1
    for offset, content in parts:
        if offset == end:
            groups[-1][1].append(content)
        else:
            groups.append((offset, [content]))
        end = offset + len(content)
    return [(offset, b"".join(contents)) for offset, contents in groups]
