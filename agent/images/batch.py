"""Extents that stand together in the file of an image, read at once."""

from collections.abc import Callable, Iterator

from agent.images.errors import cut_short, unpacks_too_short
from agent.images.extent import Extent
from agent.images.pieces import Buffer, Incoming, Run

Unpack = Callable[[memoryview], tuple[bytes, int]]
"""Gives what was packed, and into how many of the bytes; others may follow there. BadFormat where damaged."""


class Batch:
    """A DataPiece: extents in the order of the file, which are read in one go."""

    def __init__(
        self, file: Incoming, extents: list[Extent], unpacker: Callable[[], Unpack], *, kind: str
    ) -> None:
        """Wait until ``extents`` have come, to be read when ``runs`` is called. Raises BadFormat.

        ``unpacker`` gives what unpacks them, for one thread; ``kind`` names the file, such as "qcow2 file".
        """
        self._file = file
        self._unpacker = unpacker
        self._kind = kind
        self._extents = extents
        self._used: list[tuple[int, int]] = []
        self.length = sum(extent.length for extent in extents)
        self._end = file.come(max(extent.host_end for extent in extents))
        if any(extent.least_end > self._end for extent in extents):
            raise cut_short(kind, file.size)
        file.claim()

    def runs(self) -> Iterator[Run]:
        """Read, unpack, and yield what stands together on the disk."""
        content = self._content()
        first = end = min(extent.guest for extent in self._extents)
        buffers: list[Buffer] = []
        for extent, data in sorted(content, key=lambda item: item[0].guest):
            if extent.guest != end:
                yield Run(first, buffers)
                first, buffers = extent.guest, []
            buffers.append(data)
            end = extent.guest + extent.length
        yield Run(first, buffers)

    def done(self) -> None:
        """Give back the bytes of the file that were used, and no others: those belong to other extents."""
        for start, end in self._used:
            self._file.release(start, end)
        self._file.settle()

    def _content(self) -> list[tuple[Extent, Buffer]]:
        start = self._extents[0].host
        # Among them there may be something of another batch that has been given back.
        held = memoryview(self._file.read_around(self._end - start, start))
        unpack = self._unpacker()
        content: list[tuple[Extent, Buffer]] = []
        for extent in self._extents:
            data: Buffer = held[extent.host - start : extent.host_end - start]
            used = len(data)
            if extent.packed:
                data, used = unpack(memoryview(data))
                data = memoryview(data)[: extent.length]
                if len(data) < extent.length:
                    raise unpacks_too_short(self._kind)
            content.append((extent, data))
            self._use(extent.host, extent.host + used)
        for used_from, used_to in self._used:
            self._file.require(used_from, used_to)
        return content

    def _use(self, start: int, end: int) -> None:
        if self._used and self._used[-1][1] >= start:
            self._used[-1] = (self._used[-1][0], max(end, self._used[-1][1]))
        else:
            self._used.append((start, end))
