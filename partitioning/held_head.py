"""A disk whose first MiB is kept in memory until everything else on it is complete.

The first MiB holds the boot code, the MBR and the primary GPT. As long as it is not on the disk, no
firmware and no kernel takes the disk for something to boot or to mount. All work on the new partition
table happens in memory; ``commit`` puts it on the disk as the very last write.
"""

from collections.abc import Sequence

from partitioning.open_disk import OpenDisk

HEAD_SIZE = 1 << 20


class HeldHead:
    """A ByteStore over an open disk: the head lives in memory, all else goes to the disk."""

    def __init__(self, disk: OpenDisk) -> None:
        """Begin with a head of zeroes, which is what a wiped disk has."""
        self._disk = disk
        self._head = bytearray(min(HEAD_SIZE, disk.size))

    @property
    def size(self) -> int:
        """Size of the disk in bytes."""
        return self._disk.size

    @property
    def sector_size(self) -> int:
        """Logical sector size of the disk in bytes."""
        return self._disk.sector_size

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``, those of the head from memory."""
        if offset < 0 or length < 0:
            return self._disk.pread(length, offset)
        inside = bytes(self._head[offset : offset + length])
        rest = length - len(inside)
        return inside + (self._disk.pread(rest, offset + len(inside)) if rest else b"")

    def pwrite(self, data: bytes, offset: int) -> None:
        """Write ``data`` at ``offset``, what belongs to the head into memory."""
        inside = max(0, min(len(data), len(self._head) - offset)) if offset >= 0 else 0
        if inside < len(data):
            self._disk.pwrite(data[inside:], offset + inside)
        self._head[offset : offset + inside] = data[:inside]

    def pwritev(self, buffers: Sequence[bytes | memoryview], offset: int) -> None:
        """Write the buffers one after another, from ``offset`` on; for the disk they are not put together."""
        if offset >= len(self._head):
            self._disk.pwritev(buffers, offset)
        else:
            self.pwrite(b"".join(buffers), offset)

    def zero(self, offset: int, length: int) -> None:
        """Make ``length`` bytes at ``offset`` read as zero; what belongs to the head does in memory."""
        inside = max(0, min(length, len(self._head) - offset))
        self._head[offset : offset + inside] = bytes(inside)
        if inside < length:
            self._disk.zero(offset + inside, length - inside)

    def commit(self) -> None:
        """Put the head on the disk: all but its first sector, a flush, then that one, and a flush.

        One sector is written whole or not at all, so there is no moment at which half a head can boot.
        """
        first = self._disk.sector_size
        self._disk.flush()
        self._disk.pwrite(bytes(self._head[first:]), first)
        self._disk.flush()
        self._disk.pwrite(bytes(self._head[:first]), 0)
        self._disk.flush()

    def withdraw(self) -> None:
        """Take the head off the disk again, so that it can not boot."""
        self._disk.zero(0, len(self._head))
        self._disk.flush()
