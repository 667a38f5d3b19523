"""Extents that stand together in the file of an image, read at once."""

from collections.abc import Callable, Iterator

from agent.images.errors import cut_short
from agent.images.extent import Extent
from agent.images.pieces import Buffer, Incoming, Run

Unpack = Callable[[memoryview], tuple[bytes, int]]
"""Gives what was packed, and into how many of the bytes; others may follow there. BadFormat where damaged."""


class Batch:
    """A DataPiece: extents in the order of the file, which are read in one go."""

    def __init__(
        self, file: Incoming, extents: list[Extent], unpacker: Callable[[], Unpack], *, kind: str
    ) -> None:
        """Read ``extents`` when ``runs`` is called.

        ``unpacker`` gives what unpacks them, for one thread; ``kind`` names the file, such as "qcow2 file".
        """
        self._file = file
        self._unpacker = unpacker
        self._kind = kind
        self._extents = extents
        self._used: list[tuple[int, int]] = []
        self.length = sum(extent.length for extent in extents)

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

    def _content(self) -> list[tuple[Extent, Buffer]]:
        start = self._extents[0].host
        # The last sector of a file that ends in compressed data need not be whole.
        end = min(max(extent.host_end for extent in self._extents), self._file.size)
        # Among them there may be something of another batch that has been given back.
        try:
            held = memoryview(self._file.read_around(end - start, start))
        except EOFError as error:
            raise cut_short(self._kind, self._file.size) from error
        unpack = self._unpacker()
        content: list[tuple[Extent, Buffer]] = []
        for extent in self._extents:
            data: Buffer = held[extent.host - start : extent.host_end - start]
            used = len(data)
            if extent.packed:
                data, used = unpack(memoryview(data))
                data = memoryview(data)[: extent.length]
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
