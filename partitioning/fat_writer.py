"""Makes a FAT file system with files in it, in memory: for a ConfigDrive, and for an EFI system partition.

Written here and not with mkfs.fat and mcopy: mcopy does not start where the C library's code page 850 is
missing, as in many small rescue systems, and what is secret would have to go through a file of its own.

Section numbers are those of Microsoft's "FAT32 File System Specification", version 1.03. All counts on the
disk are little-endian.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from partitioning import fat_entries
from partitioning.errors import NoRoom
from partitioning.fat_layout import ENTRY_SIZE, FATS, FIRST_CLUSTER, ROOT_ENTRIES, FatLayout, lay_out

_MIB = 1 << 20
# FAT32 with sectors of 4096 bytes has the largest least size, 257 MiB.
_ABOVE_EVERY_LEAST = 1 << 30
_ROOT = ""
_FSINFO_SECTOR = 1
_BACKUP_BOOT_SECTOR = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class FatImage:
    """A file system: what does not read as zero, as pieces at byte offsets that ascend."""

    size: int
    pieces: tuple[tuple[int, bytes], ...]

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


def least_size(files: Mapping[str, bytes], sector_size: int, *, bits: int | None = None) -> int:
    """Give the smallest size in bytes, in whole MiBs, of a file system that carries ``files``.

    Raises NoRoom when the type can not be made large enough, or its fixed root directory is too small.
    """
    if bits != 32 and _directory_sizes(files)[_ROOT] > ROOT_ENTRIES * ENTRY_SIZE:
        raise _does_not_fit("The root directory of FAT12 and FAT16 has a fixed size, and holds fewer names.")
    size = max(_MIB, sum(map(len, files.values())) // _MIB * _MIB)
    has_form = False
    while True:
        try:
            layout = lay_out(size, sector_size, bits=bits)
        except NoRoom:
            # Too small for this type; or too large, where smaller ones had a form.
            if has_form or size > _ABOVE_EVERY_LEAST:
                raise
        else:
            if _fits(files, layout):
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

    The same arguments always give the same image. Paths are made of letters, digits and '_-.'. Raises
    NoRoom when ``files`` do not fit.
    """
    layout = lay_out(size, sector_size, bits=bits)
    if not _fits(files, layout):
        raise _does_not_fit(f"{sum(map(len, files.values()))} bytes of files do not fit {size} bytes.")
    chains = _allocate(layout, files)
    pieces = [
        *_boot_sectors(layout, label, volume_id, used=sum(chain.count for chain in chains.values())),
        *_fats(layout, list(chains.values())),
        *_contents(layout, files, chains, label),
    ]
    return FatImage(size=size, pieces=tuple(sorted(piece for piece in pieces if piece[1])))


def _does_not_fit(detail: str) -> NoRoom:
    return NoRoom("The files do not fit the FAT file system.", detail=detail, hint="Give it more room.")


def _folders(files: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Give the paths that each directory holds, in the order of names, by the directory's path."""
    above = {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}
    held: dict[str, list[str]] = {folder: [] for folder in (_ROOT, *sorted(above))}
    for path in sorted({*files, *above}):
        held[path.rpartition("/")[0]].append(path)
    return held


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _directory_sizes(files: Mapping[str, bytes]) -> dict[str, int]:
    # The label in the root, "." and ".." elsewhere; two are counted for either.
    return {
        folder: ENTRY_SIZE * (2 + sum(fat_entries.entries_for(_name(path)) for path in held))
        for folder, held in _folders(files).items()
    }


def _fits(files: Mapping[str, bytes], layout: FatLayout) -> bool:
    sizes = _directory_sizes(files)
    if layout.bits != 32 and sizes.pop(_ROOT) > layout.root_entries * ENTRY_SIZE:
        return False
    return sum(map(layout.needs, [*sizes.values(), *map(len, files.values())])) <= layout.clusters


def _allocate(layout: FatLayout, files: Mapping[str, bytes]) -> dict[str, _Chain]:
    lengths = _directory_sizes(files) | {path: len(files[path]) for path in sorted(files)}
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


def _contents(
    layout: FatLayout, files: Mapping[str, bytes], chains: Mapping[str, _Chain], label: str
) -> Iterator[tuple[int, bytes]]:
    for folder, held in _folders(files).items():
        start = _label_entry(label) if folder == _ROOT else _dots(folder, chains)
        data = start + _directory(held, chains, files)
        fixed_root = folder == _ROOT and layout.bits != 32
        yield (
            layout.root_sector * layout.sector_size if fixed_root else layout.offset_of(chains[folder].first),
            data,
        )
    for path, content in files.items():
        yield layout.offset_of(chains[path].first or FIRST_CLUSTER), content


def _label_entry(label: str) -> bytes:
    return fat_entries.short_entry(fat_entries.label_bytes(label), fat_entries.VOLUME_LABEL, 0, 0)


def _dots(folder: str, chains: Mapping[str, _Chain]) -> bytes:
    # The root is cluster 0 in "..", also on FAT32, where it is a chain like others (section 6.5).
    parent = folder.rpartition("/")[0]
    above = chains[parent].first if parent else 0
    own = fat_entries.short_entry(b".".ljust(11), fat_entries.DIRECTORY, chains[folder].first, 0)
    return own + fat_entries.short_entry(b"..".ljust(11), fat_entries.DIRECTORY, above, 0)


def _directory(held: Sequence[str], chains: Mapping[str, _Chain], files: Mapping[str, bytes]) -> bytes:
    out = bytearray()
    for number, path in enumerate(held, start=1):
        is_file = path in files
        attribute = fat_entries.ARCHIVE if is_file else fat_entries.DIRECTORY
        length = len(files[path]) if is_file else 0
        out += fat_entries.named_entry(_name(path), number, attribute, chains[path].first, length)
    return bytes(out)


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


def _boot_sectors(layout: FatLayout, label: str, volume_id: int, *, used: int) -> Iterator[tuple[int, bytes]]:
    boot = _boot_sector(layout, label, volume_id)
    yield 0, boot
    if layout.bits == 32:
        info = _fsinfo(layout, used)
        yield _FSINFO_SECTOR * layout.sector_size, info
        yield _BACKUP_BOOT_SECTOR * layout.sector_size, boot
        yield (_BACKUP_BOOT_SECTOR + _FSINFO_SECTOR) * layout.sector_size, info


def _boot_sector(layout: FatLayout, label: str, volume_id: int) -> bytes:
    wide = layout.bits == 32
    small = not wide and layout.sectors < 1 << 16
    bpb = struct.pack(
        "<3s8sHBHBHHBHHHII",
        b"\xeb\x58\x90" if wide else b"\xeb\x3c\x90",
        b"MSWIN4.1",
        layout.sector_size,
        layout.sectors_per_cluster,
        layout.reserved,
        FATS,
        layout.root_entries,
        layout.sectors if small else 0,
        0xF8,
        0 if wide else layout.fat_sectors,
        63,
        255,
        0,
        0 if small else layout.sectors,
    )
    if wide:
        # Section 3.3: FAT size, flags, version, root cluster, FSInfo, backup boot sector, reserved.
        bpb += struct.pack(
            "<IHHIHH12x", layout.fat_sectors, 0, 0, FIRST_CLUSTER, _FSINFO_SECTOR, _BACKUP_BOOT_SECTOR
        )
    kind = f"FAT{layout.bits}".encode().ljust(8)
    tail = struct.pack("<BBBI11s8s", 0x80, 0, 0x29, volume_id, fat_entries.label_bytes(label), kind)
    return (bpb + tail).ljust(510, b"\0") + b"\x55\xaa"


def _fsinfo(layout: FatLayout, used: int) -> bytes:
    # Section 5: how many clusters are free, and where to look for one.
    counts = struct.pack("<4sII12xI", b"rrAa", layout.clusters - used, FIRST_CLUSTER + used, 0xAA550000)
    return b"RRaA" + bytes(480) + counts
