"""The directories of a FAT file system: each is read and parsed once, and all together have a bound.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03.
"""

from functools import cached_property

from partitioning.fat.chain import ClusterReader
from partitioning.fat.directory import FatEntry, LabelEntry, parse_directory
from partitioning.fat.format import DIRECTORY_LIMIT
from partitioning.fat.names import folded
from partitioning.fat.volume import TAKE_OUT, fat_error

# One directory as long as directories can be, and far more than any ESP has for all others. Entries of two
# directories may lead into one chain, so that a small file system seems to have no end of directories.
_MOST_BYTES = DIRECTORY_LIMIT + (1 << 20)
# Section 6.5: a ".." that leads to the root has cluster 0.
_ROOT = 0


class Directory:
    """What is in a directory: ``entries`` without ``.`` and ``..``, and ``label``, None where it has none."""

    def __init__(self, raw: bytes) -> None:
        """Parse the bytes of a directory."""
        found = tuple(parse_directory(raw))
        self.entries = tuple(one for one in found if isinstance(one, FatEntry))
        self.label = next((one.label for one in found if isinstance(one, LabelEntry)), None)

    def find(self, name: str) -> FatEntry | None:
        """Find the first entry that has the long or short name ``name``, whatever the case."""
        return self._by_name.get(folded(name))

    @cached_property
    def _by_name(self) -> dict[str, FatEntry]:
        by_name: dict[str, FatEntry] = {}
        for entry in self.entries:
            for name in entry.folded_names:
                by_name.setdefault(name, entry)
        return by_name


class Directories:
    """Reads directories, and keeps them."""

    def __init__(self, clusters: ClusterReader) -> None:
        """Read the chains that ``clusters`` knows."""
        self._clusters = clusters
        self._known: dict[int, Directory] = {}
        self._bytes = 0

    def root(self) -> Directory:
        """Give the root directory. Raises FatError."""
        return self._at(_ROOT)

    def of(self, entry: FatEntry) -> Directory | None:
        """Give the directory that ``entry`` is, None for a file's. Raises FatError."""
        return self._at(entry.first_cluster) if entry.is_directory else None

    def _at(self, first: int) -> Directory:
        if first not in self._known:
            self._known[first] = Directory(self._read(first))
        return self._known[first]

    def _read(self, first: int) -> bytes:
        raw = b""
        # Once there was too much, nothing more is read to find that out again.
        if self._bytes <= _MOST_BYTES:
            raw = self._clusters.root(set()) if first == _ROOT else self._clusters.directory(first, set())
            self._bytes += len(raw)
        if self._bytes > _MOST_BYTES:
            raise fat_error(f"The directories take more than {_MOST_BYTES} bytes.", hint=TAKE_OUT)
        return raw
