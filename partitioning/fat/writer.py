"""Makes a FAT file system in memory: for a ConfigDrive, for an EFI system partition, or from another one.

Written here and not with mkfs.fat and mcopy: mcopy does not start where the C library's code page 850 is
missing, as in many small rescue systems, and what is secret would have to go through a file of its own.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03. All counts on the
disk are little-endian.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from partitioning.errors import NoRoom
from partitioning.fat import entries as fat_entries
from partitioning.fat.additions import tree_of
from partitioning.fat.boot_sector import boot_sectors
from partitioning.fat.format import DIRECTORY_LIMIT, ENTRY_SIZE, FatTimes
from partitioning.fat.layout import FATS, FIRST_CLUSTER, ROOT_ENTRIES, FatLayout, lay_out
from partitioning.fat.short_names import NamedNode, with_short_names
from partitioning.fat.tree import FatDirectory, FatFile, FatTree

_MIB = 1 << 20
# FAT32 with sectors of 4096 bytes has the largest least size, 257 MiB.
_ABOVE_EVERY_LEAST = 1 << 30
_ROOT = ""
_FIXED_ROOT = ROOT_ENTRIES * ENTRY_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class FatImage:
    """A file system: what does not read as zero, as pieces at byte offsets that ascend."""

    size: int
    pieces: tuple[tuple[int, bytes], ...] = field(repr=False)

    @property
    def content_size(self) -> int:
        """How many bytes do not read as zero."""
        return sum(len(piece) for _, piece in self.pieces)

    def data(self) -> bytes:
        """Give the whole of it."""
        image = bytearray(self.size)
        for offset, piece in self.pieces:
            image[offset : offset + len(piece)] = piece
        return bytes(image)


@dataclass(frozen=True, slots=True)
class _Chain:
    """Clusters that follow one another; ``first`` is 0 for an empty file."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory that has its short names."""

    times: FatTimes
    held: Sequence[NamedNode]
    length: int


@dataclass(frozen=True, slots=True)
class _Contents:
    """Directories and files by path, in the order in which they get their clusters."""

    folders: Mapping[str, _Folder]
    files: Mapping[str, bytes]

    @property
    def total(self) -> int:
        return sum(map(len, self.files.values()))

    @property
    def lengths(self) -> dict[str, int]:
        folders = {path: folder.length for path, folder in self.folders.items()}
        return folders | {path: len(content) for path, content in self.files.items()}


def least_size(files: Mapping[str, bytes], sector_size: int, *, bits: int | None = None) -> int:
    """Give the smallest size in bytes, in whole MiBs, of a file system that carries ``files``.

    Raises NoRoom when the type can not be made large enough, or its fixed root directory is too small.
    """
    contents = _contents_of(tree_of(files, label=None, volume_id=0))
    if _has_crowded_directory(contents, fixed_root=bits != 32):
        raise _does_not_fit(contents, "any size")
    size = max(_MIB, contents.total // _MIB * _MIB)
    has_form = False
    while True:
        try:
            layout = lay_out(size, sector_size, bits=bits)
        except NoRoom:
            # Too small for this type; or too large, where smaller ones had a form.
            if has_form or size > _ABOVE_EVERY_LEAST:
                raise
        else:
            if _fits(contents, layout):
                return size
            has_form = True
        size += _MIB


def build(
    files: Mapping[str, bytes],
    *,
    sector_size: int,
    size: int,
    label: str,
    volume_id: int,
    bits: int | None = None,
) -> FatImage:
    """Make a file system of ``size`` bytes that carries ``files``, by path; see ``lay_out`` for ``bits``.

    The same arguments always give the same image. Raises NoRoom when ``files`` do not fit, and FatError for
    paths that can not stand on FAT (see ``with_files``).
    """
    tree = tree_of(files, label=label, volume_id=volume_id)
    return build_tree(tree, size=size, forms=[lay_out(size, sector_size, bits=bits)])


def build_tree(tree: FatTree, *, size: int, forms: Iterable[FatLayout]) -> FatImage:
    """Make a file system of ``size`` bytes that carries ``tree``, in the first of ``forms`` that it fits.

    The same arguments always give the same image, which refers to the contents in ``tree``. Raises NoRoom.
    """
    contents = _contents_of(tree)
    for layout in forms:
        if _fits(contents, layout):
            return FatImage(size=size, pieces=_pieces(tree, contents, layout))
    raise _does_not_fit(contents, f"{size} bytes")


def _does_not_fit(contents: _Contents, size: str) -> NoRoom:
    detail = f"{contents.total} bytes in {len(contents.files)} files do not fit {size}."
    if _has_crowded_directory(contents, fixed_root=False):
        detail += " A directory holds fewer names."
    elif _has_crowded_directory(contents, fixed_root=True):
        detail += " The root directory of FAT12 and FAT16 has a fixed size, and holds fewer names."
    return NoRoom("The files do not fit the FAT file system.", detail=detail, hint="Give it more room.")


def _has_crowded_directory(contents: _Contents, *, fixed_root: bool) -> bool:
    if fixed_root and contents.folders[_ROOT].length > _FIXED_ROOT:
        return True
    return any(folder.length > DIRECTORY_LIMIT for folder in contents.folders.values())


def _contents_of(tree: FatTree) -> _Contents:
    nodes = dict(sorted(tree.walk(), key=lambda found: found[0]))
    folders = {path: node for path, node in nodes.items() if isinstance(node, FatDirectory)}
    root = FatDirectory(name=_ROOT, nodes=tree.nodes)
    return _Contents(
        folders={path: _folder(node) for path, node in {_ROOT: root, **folders}.items()},
        files={path: node.content for path, node in nodes.items() if isinstance(node, FatFile)},
    )


def _folder(directory: FatDirectory) -> _Folder:
    held = with_short_names(directory.nodes)
    # The label in the root, "." and ".." elsewhere; two are counted for either.
    length = 2 * ENTRY_SIZE + sum(map(fat_entries.size_of, held))
    return _Folder(directory.times, held, length)


def _fits(contents: _Contents, layout: FatLayout) -> bool:
    if _has_crowded_directory(contents, fixed_root=layout.bits != 32):
        return False
    lengths = contents.lengths
    if layout.bits != 32:
        del lengths[_ROOT]
    return sum(map(layout.needs, lengths.values())) <= layout.clusters


def _pieces(tree: FatTree, contents: _Contents, layout: FatLayout) -> tuple[tuple[int, bytes], ...]:
    chains = _allocate(layout, contents)
    used = sum(chain.count for chain in chains.values())
    pieces = [
        *boot_sectors(layout, label=tree.label, volume_id=tree.volume_id, used=used),
        *_fats(layout, list(chains.values())),
        *_directories(layout, contents, chains, tree.label),
        *((layout.offset_of(chains[path].first), data) for path, data in contents.files.items() if data),
    ]
    return tuple(sorted((piece for piece in pieces if piece[1]), key=lambda piece: piece[0]))


def _allocate(layout: FatLayout, contents: _Contents) -> dict[str, _Chain]:
    lengths = contents.lengths
    chains: dict[str, _Chain] = {}
    if layout.bits != 32:
        del lengths[_ROOT]
        chains[_ROOT] = _Chain(0, 0)
    free = FIRST_CLUSTER
    for path, length in lengths.items():
        count = layout.needs(length)
        chains[path] = _Chain(free if count else 0, count)
        free += count
    return chains


def _directories(
    layout: FatLayout, contents: _Contents, chains: Mapping[str, _Chain], label: str | None
) -> Iterator[tuple[int, bytes]]:
    for path, folder in contents.folders.items():
        if path != _ROOT:
            start = _dots(path, contents, chains)
        else:
            start = fat_entries.label_entry(label) if label else b""
        fixed_root = path == _ROOT and layout.bits != 32
        offset = (
            layout.root_sector * layout.sector_size if fixed_root else layout.offset_of(chains[path].first)
        )
        below = f"{path}/" if path else _ROOT
        entries = (
            fat_entries.named_entry(named, chains[below + named.node.name].first) for named in folder.held
        )
        yield offset, start + b"".join(entries)


def _dots(path: str, contents: _Contents, chains: Mapping[str, _Chain]) -> bytes:
    # The root is cluster 0 in "..", also on FAT32, where it is a chain like others (section 6.5).
    above = path.rpartition("/")[0]
    above_cluster = chains[above].first if above else 0
    return fat_entries.dot_entries(contents.folders[path].times, chains[path].first, above_cluster)


def _fats(layout: FatLayout, chains: list[_Chain]) -> Iterator[tuple[int, bytes]]:
    values = [*_first_values(layout.bits)]
    end = values[1]
    for chain in chains:
        values += [*range(chain.first + 1, chain.first + chain.count), end] if chain.count else []
    table = _packed(values, layout.bits)
    for number in range(FATS):
        yield (layout.reserved + number * layout.fat_sectors) * layout.sector_size, table


def _first_values(bits: int) -> tuple[int, int]:
    # Entry 0 repeats the media byte; entry 1 says "cleanly unmounted, no errors" (section 4.2).
    end = (1 << min(bits, 28)) - 1
    return end & ~0xFF | 0xF8, end


def _packed(values: list[int], bits: int) -> bytes:
    if bits != 12:
        return struct.pack(f"<{len(values)}{'H' if bits == 16 else 'I'}", *values)
    packed = bytearray()
    for even, odd in zip(values[::2], [*values[1::2], 0], strict=False):
        packed += (even | odd << 12).to_bytes(3, "little")
    return bytes(packed)
