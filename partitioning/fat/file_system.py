"""A file system of the FAT family, read only: labels, directories, files.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03. What is read may
be hostile: every chain and file has a bound, so have all directories together, and whatever is malformed is a
FatError.
"""

from partitioning.byte_access import ByteReader
from partitioning.fat.chain import ClusterReader
from partitioning.fat.directories import Directories
from partitioning.fat.directory import FatEntry
from partitioning.fat.volume import FatError, fat_error, read_geometry

__all__ = ["FatEntry", "FatError", "FatFileSystem"]


class FatFileSystem:
    """The file system that ``reader`` begins with. Each directory is read once, and kept."""

    def __init__(self, reader: ByteReader) -> None:
        """Check the boot sector. Raises FatError when it is not that of a FAT file system."""
        self._geometry = read_geometry(reader)
        self._clusters = ClusterReader(reader, self._geometry)
        self._directories = Directories(self._clusters)

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
        found = self._directories.root().label
        return self._geometry.label if found is None else found

    def exists(self, path: str) -> bool:
        """Tell whether there is a file or directory at ``path``. Raises FatError."""
        return not _components(path) or self.find(path) is not None

    def find(self, path: str) -> FatEntry | None:
        """Find what ``path`` names; ``/`` and ``\\`` separate, case does not matter. Raises FatError."""
        trail = self._trail(path)
        return trail[-1] if trail else None

    def spelled(self, path: str) -> str | None:
        """Give the path of the file or directory at ``path`` as the file system spells it.

        Names are joined with ``/``, and none stands in front: that of the root is empty. None where there is
        nothing. Raises FatError.
        """
        trail = self._trail(path)
        return None if trail is None else "/".join(entry.name for entry in trail)

    def list(self, path: str = "/") -> tuple[FatEntry, ...]:
        """List a directory, without ``.`` and ``..``. Raises FatError when there is none at ``path``."""
        if not _components(path):
            return self._directories.root().entries
        found = self.find(path)
        directory = None if found is None else self._directories.of(found)
        if directory is None:
            raise fat_error(f"There is no directory {path!r}.")
        return directory.entries

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

    def _trail(self, path: str) -> tuple[FatEntry, ...] | None:
        """Give the entries from the root down to what ``path`` names, None where there is nothing."""
        trail: list[FatEntry] = []
        for name in _components(path):
            directory = self._directories.of(trail[-1]) if trail else self._directories.root()
            found = None if directory is None else directory.find(name)
            if found is None:
                return None
            trail.append(found)
        return tuple(trail)


def _components(path: str) -> list[str]:
    return [name for name in path.replace("\\", "/").split("/") if name]
