"""A partition table can be changed for a look at the outcome while nothing is written anywhere.

Planning works on an image that only can be read. What is written goes to memory, in blocks that are copied
when they are first written to; all else is read through.
"""

from partitioning.byte_access import ByteReader
from partitioning.errors import DiskWriteError

LIMIT = 4 << 20
"""Bytes kept in memory at most. A table takes no more than the first MiB and one at the end."""

_BLOCK = 4096


class HeadOverlay:
    """A ByteStore over something that is read only: written blocks live in memory."""

    def __init__(self, reader: ByteReader, *, size: int | None = None) -> None:
        """Lie over ``reader``. ``size`` (bytes) may be more than it has: what follows it reads as zero."""
        self._reader = reader
        self._size = reader.size if size is None else size
        self._blocks: dict[int, bytearray] = {}

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._size

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``; EOFError past the end."""
        if offset < 0 or length < 0 or offset + length > self._size:
            raise EOFError(f"{length} bytes at {offset} are not within {self._size} bytes")
        beneath = self._read_through(length, offset)
        written = self._written_within(offset, offset + length)
        return self._patched(beneath, offset, written) if written else beneath

    def pwrite(self, data: bytes, offset: int) -> None:
        """Write ``data`` at ``offset`` into memory. DiskWriteError past the end, or beyond LIMIT."""
        if offset < 0 or offset + len(data) > self._size:
            raise _write_error(f"{len(data)} bytes at {offset} are not within {self._size} bytes.")
        for block in self._blocks_of(offset, offset + len(data)):
            first, end = max(offset, block), min(offset + len(data), block + _BLOCK)
            self._own(block)[first - block : end - block] = data[first - offset : end - offset]

    def _patched(self, beneath: bytes, offset: int, written: list[int]) -> bytes:
        found, length = bytearray(beneath), len(beneath)
        for block in written:
            first, end = max(offset, block), min(offset + length, block + _BLOCK)
            found[first - offset : end - offset] = self._blocks[block][first - block : end - block]
        return bytes(found)

    def _blocks_of(self, first: int, end: int) -> range:
        return range(first // _BLOCK * _BLOCK, end, _BLOCK) if first < end else range(0)

    def _written_within(self, first: int, end: int) -> list[int]:
        # A read may be long, and few blocks are written: whichever is less is looked through.
        blocks = self._blocks_of(first, end)
        if len(blocks) < len(self._blocks):
            return [block for block in blocks if block in self._blocks]
        return [block for block in self._blocks if block in blocks]

    def _own(self, block: int) -> bytearray:
        if block not in self._blocks:
            if (len(self._blocks) + 1) * _BLOCK > LIMIT:
                raise _write_error(f"More than {LIMIT} bytes would have to be kept.")
            length = min(_BLOCK, self._size - block)
            self._blocks[block] = bytearray(self._read_through(length, block))
        return self._blocks[block]

    def _read_through(self, length: int, offset: int) -> bytes:
        there = max(0, min(length, self._reader.size - offset))
        found = self._reader.pread(there, offset) if there else b""
        return found if there == length else found + bytes(length - there)


def _write_error(detail: str) -> DiskWriteError:
    return DiskWriteError(
        "Changing a partition table in memory failed.",
        detail=detail,
        hint="Look at the image's partition table with sgdisk -p or sfdisk -l, and report it if it is sound.",
    )
