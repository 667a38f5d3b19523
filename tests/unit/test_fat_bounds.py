"""Directories that lead into one another's chains: a FAT file system takes no more than what it may cost."""

from collections.abc import Iterator

import pytest

from partitioning.byte_access import BytesReader
from partitioning.fat import directories, directory
from partitioning.fat.file_system import FatError, FatFileSystem
from partitioning.fat.format import DIRECTORY_LIMIT, ENTRY_SIZE
from partitioning.fat.names import folded
from tests.fat_samples import COUNTS, LONG, SECTOR, fat_image, long_entries, sample, short_entry

MIB = 1 << 20
DIRECTORY = 0x10
FULL = DIRECTORY_LIMIT // ENTRY_SIZE
# The first cluster of the longest directory there can be, its number of clusters, and the next free one.
FIRST, CHAIN = 3, DIRECTORY_LIMIT // SECTOR
SPARE = FIRST + CHAIN
ROOT = 32 * ENTRY_SIZE

kinds = pytest.mark.parametrize("bits", [12, 16, 32])


class CountingReader(BytesReader):
    """Counts what is read, and fails as soon as it is more than ``most`` reads."""

    def __init__(self, data: bytes | bytearray, most: int) -> None:
        super().__init__(bytes(data))
        self.most = most
        self.reads = 0
        self.bytes = 0

    def pread(self, length: int, offset: int) -> bytes:
        self.reads += 1
        self.bytes += length
        assert self.reads <= self.most, "too much is read"
        return super().pread(length, offset)


def subdirectory(name: bytes, cluster: int) -> bytes:
    return short_entry(name.ljust(11), attributes=DIRECTORY, cluster=cluster)


def long_chain(entries: Iterator[bytes], **more: bytes) -> bytearray:
    """A file system with the directory EFI, which is as long as directories can be.

    ``more`` are directories of one cluster beside it, by name.
    """
    whole = b"".join(entries)
    assert len(whole) == DIRECTORY_LIMIT
    clusters = {
        FIRST + number: whole[at : at + SECTOR] for number, at in enumerate(range(0, len(whole), SECTOR))
    }
    links = {number: number + 1 for number in range(FIRST, SPARE - 1)}
    root = subdirectory(b"EFI", FIRST)
    for number, (name, content) in enumerate(more.items(), start=SPARE):
        root += subdirectory(name.encode(), number)
        clusters[number] = content
    return fat_image(16, clusters, links, count=COUNTS[16], root=root)


def all_to_one() -> Iterator[bytes]:
    """Each leads back to the chain's beginning."""
    return (subdirectory(b"D%07d" % number, FIRST) for number in range(FULL))


def each_to_its_own() -> Iterator[bytes]:
    """Each leads to another cluster of the chain, so that no two directories are the same."""
    for number in range(FULL):
        yield subdirectory(b"D%07d" % number, FIRST + number % CHAIN)


def test_one_chain_under_thousands_of_names_is_read_once() -> None:
    # The boot sector, the root, and a look into the FAT for each cluster of the chain, which is in one piece.
    reader = CountingReader(long_chain(all_to_one()), most=3 + CHAIN)
    fat = FatFileSystem(reader)
    for number in range(0, FULL, 13):
        assert fat.exists(f"EFI/D{number:07d}/d{FULL - 1 - number:07d}")
        assert fat.find(f"EFI/D{number:07d}/grubx64.efi") is None
        assert fat.spelled(f"efi/d{number:07d}") == f"EFI/D{number:07d}"
        assert len(fat.list(f"EFI/D{number:07d}")) == FULL
    assert fat.exists("EFI" + "/D0000001" * 5000)
    assert reader.reads == reader.most


def test_a_name_is_looked_up_without_comparing_it_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    lookups = 1000
    # Both names of each entry of EFI and of the root, and the names of each path.
    left = 2 * (FULL + 1) + 3 * lookups

    def counted(name: str) -> str:
        nonlocal left
        left -= 1
        assert left >= 0, "too many names are compared"
        return folded(name)

    for module in (directory, directories):
        monkeypatch.setattr(module, "folded", counted)
    fat = FatFileSystem(BytesReader(bytes(long_chain(all_to_one()))))
    for number in range(FULL - lookups, FULL):
        assert fat.find(f"EFI/D0000001/D{number:07d}") is not None


def test_chains_that_share_clusters_end_at_the_bound() -> None:
    reader = CountingReader(long_chain(each_to_its_own()), most=3 + 2 * CHAIN)
    fat = FatFileSystem(reader)
    assert len(fat.list("EFI")) == FULL
    for number in range(1, CHAIN):
        with pytest.raises(FatError, match="directories take more than 3145728 bytes") as error:
            fat.find(f"EFI/D{number:07d}/grubx64.efi")
        assert error.value.hint == "Take out of the file system what is not needed there."
    assert reader.bytes < 2 * DIRECTORY_LIMIT + MIB
    # What is known already still is.
    assert fat.exists("EFI/D0000000/D0000007")


def test_many_short_directories_end_at_the_bound_too() -> None:
    fat = FatFileSystem(BytesReader(bytes(long_chain(each_to_its_own()))))
    # From the chain's last cluster on: of one cluster, of two, and so on.
    lengths = range(SECTOR, MIB, SECTOR)
    paths = [f"EFI/D{CHAIN - number:07d}/x" for number in range(1, len(lengths))]
    fitting = next(count for count in range(len(lengths)) if sum(lengths[: count + 1]) > MIB - ROOT)
    assert not any(fat.exists(path) for path in paths[:fitting])
    with pytest.raises(FatError, match="directories take more"):
        fat.exists(paths[fitting])


def test_a_directory_as_long_as_they_can_be_does_not_stand_in_the_way() -> None:
    names = (short_entry(b"F%07dEFI" % number, size=1) for number in range(FULL))
    more = {f"D{number}": short_entry(b"GRUBX64 EFI", cluster=SPARE, size=1) for number in range(20)}
    fat = FatFileSystem(BytesReader(bytes(long_chain(names, **more))))
    assert len(fat.list("EFI")) == FULL
    assert fat.spelled(f"efi/f{FULL - 1:07d}.efi") == f"EFI/F{FULL - 1:07d}.EFI"
    for name in more:
        assert fat.exists(f"{name}/grubx64.efi")


@kinds
def test_label_and_root_are_read_together(bits: int) -> None:
    reader = CountingReader(sample(bits), most=100)
    fat = FatFileSystem(reader)
    assert fat.label == "CONFIG-2"
    reader.most = reader.reads
    assert fat.label == "CONFIG-2"
    assert len(fat.list()) == 4
    assert fat.exists("EFI")
    assert fat.find("efi/") == fat.list()[0]


@kinds
def test_a_directory_that_leads_to_the_root(bits: int) -> None:
    up = subdirectory(b"UP", 0)
    fat = FatFileSystem(BytesReader(bytes(sample(bits, root_extra=up))))
    assert fat.list("up/UP") == fat.list()
    assert fat.read("UP/up/empty.txt", 0) == b""


def test_of_two_with_one_name_the_first_is_found() -> None:
    root = (
        long_entries("Grub", b"FIRST      ")
        + short_entry(b"FIRST      ", size=1)
        + short_entry(b"GRUB       ", size=2)
        + long_entries("first", b"THIRD      ")
        + short_entry(b"THIRD      ", size=3)
        + short_entry(b"THIRD      ", size=4)
        + short_entry(b"LAST       ", size=5)
    )
    fat = FatFileSystem(BytesReader(bytes(fat_image(12, {}, {}, count=COUNTS[12], root=root))))
    sizes = {"GRUB": 1, "grub": 1, "First": 1, "third": 3, "last": 5}
    for name, size in sizes.items():
        assert fat.list()[size - 1].matches(name)
        found = fat.find(name)
        assert found is not None
        assert (name, found.size) == (name, size)


@kinds
def test_paths_as_the_file_system_spells_them(bits: int) -> None:
    fat = FatFileSystem(BytesReader(bytes(sample(bits))))
    spelled = {
        "\\efi\\boot\\BootX64.efi": "EFI/BOOT/BOOTX64.EFI",
        "//EFI//boot/": "EFI/BOOT",
        "EMPTY.txt": "EMPTY.TXT",
        "arathe~1.EFI": LONG,
        LONG.swapcase(): LONG,
        "\u03a3LOWER.TXT": "\u03c3lower.txt",
        "": "",
        "/": "",
    }
    for path, name in spelled.items():
        assert fat.spelled(path) == name
    for path in ("nothing", "EFI/nothing", "EMPTY.TXT/x", "EFI/BOOT/BOOTX64.EFI/x", "EFI/..", "CONFIG-2"):
        assert fat.spelled(path) is None
