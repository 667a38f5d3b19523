"""What was written where, so that it can be told from the disk alone whether it is there."""

import hashlib
import threading
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from agent.errors import ContentsDiffer
from agent.images.pieces import MOST_BYTES, Run, ZeroPiece
from agent.writing.threads import in_threads
from partitioning.byte_access import ByteReader

_DIGEST_BYTES = 16
_NO_DIGEST = bytes(_DIGEST_BYTES)
"""Stands for a range of zeroes."""
_ZEROES = bytes(MOST_BYTES)
_MOST_NOTES = 1 << 18
"""Ranges: of 2 MiB they are 512 GiB, and they take 8 MiB of memory."""


class _Range(NamedTuple):
    offset: int
    length: int
    digest: bytes


class _Notes:
    """A digest of each range, in the order in which they were written: 32 bytes of memory each."""

    def __init__(self) -> None:
        self._offsets = array("Q")
        self._lengths = array("Q")
        self._digests = bytearray()

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, offset: int, length: int, digest: bytes) -> None:
        self._offsets.append(offset)
        self._lengths.append(length)
        self._digests += digest

    def in_order(self) -> Iterator[_Range]:
        """Yield the ranges in the order of the disk."""
        for index in sorted(range(len(self._offsets)), key=self._offsets.__getitem__):
            place = index * _DIGEST_BYTES
            digest = bytes(self._digests[place : place + _DIGEST_BYTES])
            yield _Range(self._offsets[index], self._lengths[index], digest)


class Written:
    """Keeps a digest of each range that was written; most have about 2 MiB.

    Of an image in little pieces there are many more. So that memory stays bounded, those that are there are
    compared and forgotten when ``is_full`` says so.
    """

    def __init__(self, most: int = _MOST_NOTES) -> None:
        """Begin with nothing written, and want no more than ``most`` ranges to be kept."""
        self._lock = threading.Lock()
        self._most = most
        self._notes = _Notes()
        self.forgotten = 0
        """How many bytes were compared and are not kept any more."""

    @property
    def is_full(self) -> bool:
        """Tell whether those that are kept should be compared before more is written."""
        return len(self._notes) >= self._most

    def saw(self, part: Run | ZeroPiece) -> None:
        """Take note of data or zeroes, from any thread."""
        digest = _NO_DIGEST if isinstance(part, ZeroPiece) else _digest(part)
        with self._lock:
            self._notes.add(part.offset, part.length, digest)

    def compare(self, disk: ByteReader, *, path: Path, on_compared: Callable[[int], None]) -> None:
        """Read every range that is kept from ``disk``, which is at ``path``. Raises ContentsDiffer.

        ``on_compared`` gets the bytes of each range that is as it was written.
        """
        _compare(self._notes, disk, path, on_compared)

    def compare_and_forget(self, disk: ByteReader, *, path: Path) -> None:
        """The same while others go on writing: what they write from now on is kept."""
        with self._lock:
            notes, self._notes = self._notes, _Notes()

        def count(length: int) -> None:
            self.forgotten += length

        _compare(notes, disk, path, count)


def _compare(notes: _Notes, disk: ByteReader, path: Path, on_compared: Callable[[int], None]) -> None:
    def check(one: _Range) -> None:
        if not _is_there(one, disk):
            raise _differs(one, path)

    for one in in_threads(notes.in_order(), check, path=path):
        on_compared(one.length)


def _digest(run: Run) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for buffer in run.buffers:
        digest.update(buffer)
    return digest.digest()


def _is_there(one: _Range, disk: ByteReader) -> bool:
    if one.digest != _NO_DIGEST:
        return _digest(Run(one.offset, (disk.pread(one.length, one.offset),))) == one.digest
    end = one.offset + one.length
    return all(
        _ZEROES.startswith(disk.pread(min(MOST_BYTES, end - at), at))
        for at in range(one.offset, end, MOST_BYTES)
    )


def _differs(one: _Range, path: Path) -> ContentsDiffer:
    return ContentsDiffer(
        f"What is read from {path} is not what was written.",
        detail=f"The image and the disk differ between byte {one.offset} and {one.offset + one.length}.",
        hint="The disk, its controller or the memory is faulty; use another disk.",
    )
