"""What the clusters of a FAT file system hold: files and directories, along their chains.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03.
"""

from collections.abc import Iterator
from itertools import islice

from partitioning.byte_access import ByteReader
from partitioning.fat.format import DIRECTORY_LIMIT
from partitioning.fat.volume import Geometry, fat_error, next_cluster


class ClusterReader:
    """Reads chains. ``seen`` is for the caller to keep: a cluster that is in it already is a FatError.

    With a set for each chain no chain can run in a circle; with one for all, no two can share a cluster.
    """

    def __init__(self, reader: ByteReader, geometry: Geometry) -> None:
        """Read from the file system that ``reader`` begins with."""
        self._reader = reader
        self._geometry = geometry

    def content(self, first: int, size: int, path: str, seen: set[int]) -> bytes:
        """Read the file of ``size`` bytes that begins at cluster ``first``; ``path`` is for the error.

        The chain is followed no further than the file goes. Raises FatError when it is too short.
        """
        data = b"".join(self._pieces(first, size, seen))
        if len(data) < size:
            raise fat_error(f"The file {path!r} ends after {len(data)} of {size} bytes.")
        return data

    def root(self, seen: set[int]) -> bytes:
        """Read the root directory. Raises FatError."""
        geometry = self._geometry
        if geometry.bits == 32:
            return self.directory(geometry.root_cluster, seen)
        return self._reader.pread(geometry.root_size, geometry.root_start)

    def directory(self, first: int, seen: set[int]) -> bytes:
        """Read the directory that begins at cluster ``first``. Raises FatError."""
        data = b"".join(self._pieces(first, DIRECTORY_LIMIT + 1, seen))
        if len(data) > DIRECTORY_LIMIT:
            raise fat_error("A directory is longer than directories can be.")
        return data

    def _pieces(self, first: int, length: int, seen: set[int]) -> Iterator[bytes]:
        """Read ``length`` bytes, or fewer where the chain ends, clusters side by side in one go."""
        for offset, run in self._runs(first, -(-length // self._geometry.cluster_size), seen):
            piece = self._reader.pread(min(run, length), offset)
            length -= len(piece)
            yield piece

    def _runs(self, first: int, count: int, seen: set[int]) -> Iterator[tuple[int, int]]:
        start = end = 0
        for cluster in islice(self._clusters(first, seen), count):
            offset = self._geometry.offset_of(cluster)
            if offset != end:
                if end:
                    yield start, end - start
                start = offset
            end = offset + self._geometry.cluster_size
        if end:
            yield start, end - start

    def _clusters(self, first: int, seen: set[int]) -> Iterator[int]:
        cluster: int | None = first
        while cluster is not None:
            if cluster in seen:
                raise fat_error(f"The chain of clusters from {first} runs in a circle, or into another one.")
            seen.add(cluster)
            yield cluster
            cluster = next_cluster(self._reader, self._geometry, cluster)
