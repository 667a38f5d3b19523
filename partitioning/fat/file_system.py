"""A file system of the FAT family, read only: labels, directories, files.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03. What is read may
be hostile: every chain, directory and file has a bound, and whatever is malformed is a FatError.
"""

from partitioning.byte_access import ByteReader
from partitioning.fat.chain import ClusterReader
from partitioning.fat.directory import FatEntry, LabelEntry, parse_directory
from partitioning.fat.volume import FatError, fat_error, read_geometry

__all__ = ["FatEntry", "FatError", "FatFileSystem"]


class FatFileSystem:
    """The file system that ``reader`` begins with."""

    def __init__(self, reader: ByteReader) -> None:
        """Check the boot sector. Raises FatError when it is not that of a FAT file system."""
        self._geometry = read_geometry(reader)
        self._clusters = ClusterReader(reader, self._geometry)

    @property
    def bits(self) -> int:
        """12, 16 or 32: how wide a cluster number is."""
        return self._geometry.bits

    @property
    def volume_id(self) -> str:
        """The serial number as it is usually written: ``1234-ABCD``."""
        serial = f"{self._geometry.serial:08X}"
        return f"{serial[:4]}-{serial[4:]}"

    @property
    def label(self) -> str:
        """The label: the root directory's label entry, else the boot sector's field. Raises FatError."""
        for found in parse_directory(self._root()):
            if isinstance(found, LabelEntry):
                return found.label
        return self._geometry.label

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or directory at ``path``. Raises FatError."""
        return not _components(path) or self.find(path) is not None

    def find(self, path: str) -> FatEntry | None:
        """Find what ``path`` names; ``/`` and ``\\`` separate, case does not matter. Raises FatError."""
        entries: tuple[FatEntry, ...] = self._entries(self._root())
        found: FatEntry | None = None
        for name in _components(path):
            if found is not None:
                entries = self._children(found)
            found = next((entry for entry in entries if entry.matches(name)), None)
            if found is None:
                return None
        return found

    def list(self, path: str = "/") -> tuple[FatEntry, ...]:
        """List a directory, without ``.`` and ``..``. Raises FatError when there is none at ``path``."""
        if not _components(path):
            return self._entries(self._root())
        found = self.find(path)
        if found is None or not found.is_directory:
            raise fat_error(f"There is no directory {path!r}.")
        return self._children(found)

    def read(self, path: str, limit: int) -> bytes:
        """Read a whole file of at most ``limit`` bytes. Raises FatError: none there, too large, broken."""
        found = self.find(path)
        if found is None or found.is_directory:
            raise fat_error(f"There is no file {path!r}.")
        if found.size > limit:
            raise fat_error(f"The file {path!r} has {found.size} bytes, more than the {limit} that are read.")
        return self._clusters.content(found.first_cluster, found.size, path, set())

    def read_start(self, path: str, length: int) -> bytes:
        """Read at most the first ``length`` bytes of a file. Raises FatError: none there, broken."""
        found = self.find(path)
        if found is None or found.is_directory:
            raise fat_error(f"There is no file {path!r}.")
        return self._clusters.content(found.first_cluster, min(length, found.size), path, set())

    def _children(self, entry: FatEntry) -> tuple[FatEntry, ...]:
        if not entry.is_directory:
            return ()
        # A ".." that leads to the root has cluster 0 (section 6.5).
        if not entry.first_cluster:
            return self._entries(self._root())
        return self._entries(self._clusters.directory(entry.first_cluster, set()))

    def _entries(self, raw: bytes) -> tuple[FatEntry, ...]:
        return tuple(found for found in parse_directory(raw) if isinstance(found, FatEntry))

    def _root(self) -> bytes:
        return self._clusters.root(set())


def _components(path: str) -> list[str]:
    return [name for name in path.replace("\\", "/").split("/") if name]
