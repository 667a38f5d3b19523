"""All that is in a FAT file system, in memory: its files and directories as a tree, its label, its number.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03. What is read may
be hostile: whatever is malformed, or more than the bounds below, is a FatError.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from partitioning.byte_access import ByteReader
from partitioning.fat.chain import ClusterReader
from partitioning.fat.directory import FatEntry, parse_directory
from partitioning.fat.file_system import FatFileSystem
from partitioning.fat.format import ARCHIVE, DEFAULT_TIMES, FatTimes
from partitioning.fat.names import ShortName, can_stand
from partitioning.fat.volume import TAKE_OUT, fat_error, read_geometry

# Far more than any ESP or /boot has. The longest path is four times what Windows takes (260 characters).
_MOST_NODES = 20_000
_MOST_DEPTH = 32
_LONGEST_PATH = 1040
_MOST_DIRECTORY_BYTES = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FatFile:
    """A file; ``attributes`` are those a user can set (section 6.2), ``short`` its short name, if it has one.

    Short names do not count in comparisons: they may change when a file system is made anew.
    """

    name: str
    content: bytes = field(repr=False)
    attributes: int = ARCHIVE
    times: FatTimes = DEFAULT_TIMES
    short: ShortName | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FatDirectory:
    """A directory and what is in it, in the order of its entries.

    Raises FatError for names that can not stand in a directory, or stand there twice.
    """

    name: str
    nodes: "tuple[FatNode, ...]" = ()
    attributes: int = 0
    times: FatTimes = DEFAULT_TIMES
    short: ShortName | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Check the names."""
        _check_names(self.nodes)


FatNode: TypeAlias = FatFile | FatDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class FatTree:
    """A whole file system. Two are equal when all is the same but the FAT type, layout and short names.

    ``label`` has at most 11 characters of code page 437; None where there is none. ``volume_id`` is the
    serial number. ``nodes`` is the root directory. ``bits`` is the type that was read: 12, 16, 32, or None.
    """

    label: str | None
    volume_id: int
    nodes: tuple[FatNode, ...] = ()
    bits: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Check the names. Raises FatError."""
        _check_names(self.nodes)

    def walk(self) -> Iterator[tuple[str, FatNode]]:
        """Go through all files and directories, with their paths; a directory comes before what is in it."""
        return _walk(self.nodes, "")


def read_tree(reader: ByteReader, *, limit: int) -> FatTree:
    """Read the file system that ``reader`` begins with; all contents together have at most ``limit`` bytes.

    Raises FatError when it is none, is damaged, or is larger.
    """
    volume = FatFileSystem(reader)
    geometry = read_geometry(reader)
    return FatTree(
        label=volume.label or None,
        volume_id=geometry.serial,
        nodes=_TreeReader(ClusterReader(reader, geometry), limit).root(),
        bits=geometry.bits,
    )


class _TreeReader:
    """Reads directories from the root down, and counts what they come to."""

    def __init__(self, clusters: ClusterReader, limit: int) -> None:
        self._clusters = clusters
        self._limit = limit
        self._content_bytes = 0
        self._directory_bytes = 0
        self._nodes = 0
        # Of all chains: a directory that leads back up, and files that share clusters, are found.
        self._seen: set[int] = set()

    def root(self) -> tuple[FatNode, ...]:
        return self._directory(self._clusters.root(self._seen), "", 0)

    def _directory(self, raw: bytes, path: str, depth: int) -> tuple[FatNode, ...]:
        self._directory_bytes += len(raw)
        if self._directory_bytes > _MOST_DIRECTORY_BYTES:
            raise fat_error(f"The directories take more than {_MOST_DIRECTORY_BYTES} bytes.", hint=TAKE_OUT)
        if depth > _MOST_DEPTH:
            raise fat_error(f"The directories stand more than {_MOST_DEPTH} deep in one another.")
        entries = (found for found in parse_directory(raw) if isinstance(found, FatEntry))
        return tuple(self._node(entry, f"{path}{entry.name}", depth) for entry in entries)

    def _node(self, entry: FatEntry, path: str, depth: int) -> FatNode:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise fat_error(f"There are more than {_MOST_NODES} files and directories.", hint=TAKE_OUT)
        if len(path) > _LONGEST_PATH:
            raise fat_error(f"A path has more than {_LONGEST_PATH} characters.")
        if entry.is_directory:
            raw = self._clusters.directory(entry.first_cluster, self._seen)
            nodes = self._directory(raw, f"{path}/", depth + 1)
            return FatDirectory(
                name=entry.name,
                nodes=nodes,
                attributes=entry.attributes,
                times=entry.times,
                short=entry.short,
            )
        return FatFile(
            name=entry.name,
            content=self._content(entry, path),
            attributes=entry.attributes,
            times=entry.times,
            short=entry.short,
        )

    def _content(self, entry: FatEntry, path: str) -> bytes:
        self._content_bytes += entry.size
        if self._content_bytes > self._limit:
            raise fat_error(f"The files have more than the {self._limit} bytes that are read.", hint=TAKE_OUT)
        return self._clusters.content(entry.first_cluster, entry.size, path, self._seen)


def _check_names(nodes: tuple[FatNode, ...]) -> None:
    names: set[str] = set()
    for node in nodes:
        if not can_stand(node.name):
            raise fat_error(f"A file or directory has the name {node.name!r}.")
        if node.name in names:
            raise fat_error(f"The name {node.name!r} stands twice in a directory.")
        names.add(node.name)


def _walk(nodes: tuple[FatNode, ...], above: str) -> Iterator[tuple[str, FatNode]]:
    for node in nodes:
        path = f"{above}{node.name}"
        yield path, node
        if isinstance(node, FatDirectory):
            yield from _walk(node.nodes, f"{path}/")
