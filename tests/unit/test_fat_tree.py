"""A FAT file system read as a tree: whole ones made by hand, and hostile ones."""

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning.byte_access import BytesReader
from partitioning.errors import DiskError, NoRoom
from partitioning.fat.file_system import FatFileSystem
from partitioning.fat.format import FatTimes
from partitioning.fat.layout import lay_out
from partitioning.fat.rebuild import made_anew
from partitioning.fat.tree import FatDirectory, FatFile, FatTree, read_tree
from partitioning.fat.volume import FatError
from partitioning.fat.writer import build_tree
from tests.fat_samples import (
    CHAIN_ENDS,
    COUNTS,
    LOADER,
    LONG,
    ImageReader,
    fat_image,
    long_entries,
    sample,
    short_entry,
)

MIB = 1 << 20
SECTOR = 512
GENEROUS = 1 << 30

kinds = pytest.mark.parametrize("bits", [12, 16, 32])


def tree_in(image: bytes | bytearray, limit: int = GENEROUS) -> FatTree:
    return read_tree(BytesReader(bytes(image)), limit=limit)


def with_root(
    bits: int, root: bytes, clusters: dict[int, bytes], links: dict[int, int] | None = None
) -> bytes:
    """A file system whose root directory is ``root``: in cluster 2 on FAT32, on others of 32 entries."""
    if bits == 32:
        clusters = clusters | {2: root}
    return bytes(fat_image(bits, clusters, links or {}, count=COUNTS[bits], root=root))


@contextmanager
def refused_soon(said: str) -> Iterator[None]:
    begun = time.process_time()
    with pytest.raises(FatError, match=said) as error:
        yield
    assert time.process_time() - begun < 5
    assert error.value.detail
    assert error.value.hint


@kinds
def test_everything_is_in_the_tree(bits: int) -> None:
    tree = tree_in(sample(bits))
    assert (tree.bits, tree.label, tree.volume_id) == (bits, "CONFIG-2", 0x1234ABCD)
    assert [path for path, _ in tree.walk()] == [
        "EFI",
        "EFI/BOOT",
        "EFI/BOOT/BOOTX64.EFI",
        "EMPTY.TXT",
        "\u03c3lower.txt",
        LONG,
    ]
    files = {path: node.content for path, node in tree.walk() if isinstance(node, FatFile)}
    assert list(files.values()) == [LOADER, b"", b"lower", b"long"]


@kinds
def test_without_a_label_there_is_none(bits: int) -> None:
    assert tree_in(with_root(bits, b"", {})).label is None
    blank = short_entry(b"           ", attributes=0x08)
    assert tree_in(with_root(bits, blank, {})).label is None


def test_a_label_in_the_boot_sector_ends_at_a_zero() -> None:
    image = fat_image(12, {}, {}, count=100, label=b"ESP\0\0\0\0\0\0\0\0")
    assert tree_in(image).label == "ESP"
    image = fat_image(12, {}, {}, count=100, label=b"\0EVIL\0\0\0\0\0\0", root=short_entry(b"A          "))
    tree = tree_in(image)
    assert tree.label is None
    assert read_tree(ImageReader(made_anew(tree, sector_size=512, size=MIB)), limit=0) == tree


def test_attributes_times_and_short_names_are_kept_as_they_stand() -> None:
    entry = struct.pack(
        "<11sBBBHHHHHHHI", b"FILE    TXT", 0x27 | 0xC0, 0xFF, 199, 0xABCD, 0x1234, 0, 0, 0xFFFF, 0xFFFE, 0, 0
    )
    directory = short_entry(b"DIR        ", attributes=0x10 | 0x02, cluster=9)
    tree = tree_in(with_root(12, entry + directory, {9: b""}))
    file, folder = tree.nodes
    assert isinstance(file, FatFile)
    assert (file.name, file.attributes) == ("file.txt", 0x27)
    assert file.times == FatTimes(
        created_tenths=199,
        created_time=0xABCD,
        created_date=0x1234,
        accessed_date=0,
        written_time=0xFFFF,
        written_date=0xFFFE,
    )
    assert file.short is not None
    assert (file.short.raw, file.short.case) == (b"FILE    TXT", 0x18)
    assert isinstance(folder, FatDirectory)
    assert (folder.name, folder.attributes, folder.nodes) == ("DIR", 0x02, ())


def test_the_same_tree_is_equal_whatever_carries_it_and_another_is_not() -> None:
    tree = tree_in(sample(12))
    assert tree == tree_in(sample(16)) == tree_in(sample(32))
    first, empty, *rest = tree.nodes
    assert isinstance(empty, FatFile)
    others = [
        replace(tree, label=None),
        replace(tree, volume_id=1),
        replace(tree, nodes=(empty, first, *rest)),
        replace(tree, nodes=(first, *rest)),
        replace(tree, nodes=(first, replace(empty, content=b"x"), *rest)),
        replace(tree, nodes=(first, replace(empty, attributes=0x21), *rest)),
        replace(tree, nodes=(first, replace(empty, times=FatTimes(written_time=1)), *rest)),
        replace(tree, nodes=(first, replace(empty, name="empty.txt"), *rest)),
        replace(tree, nodes=(first, FatDirectory(name="EMPTY.TXT", times=empty.times), *rest)),
    ]
    for other in others:
        assert other != tree


@kinds
def test_the_limit_is_for_all_files_together(bits: int) -> None:
    total = len(LOADER) + len(b"lower") + len(b"long")
    assert tree_in(sample(bits), limit=total)
    with refused_soon(f"more than the {total - 1} bytes"):
        tree_in(sample(bits), limit=total - 1)


def test_an_absurd_size_is_refused_before_anything_is_read() -> None:
    huge = short_entry(b"HUGE    BIN", cluster=5, size=0xFFFFFFFF)
    with refused_soon("more than the 1048576 bytes"):
        tree_in(sample(12, root_extra=huge), limit=MIB)
    with refused_soon("no cluster|circle|ends after"):
        tree_in(sample(12, root_extra=huge), limit=1 << 33)


@kinds
@pytest.mark.parametrize(
    ("chains", "said"),
    [
        ({40: 40}, "circle"),
        ({40: 10}, "circle"),
        ({40: 5}, "circle, or into another"),  # its last cluster is another file's
        ({10: 0}, "no cluster 0"),
        ({10: 1}, "no cluster 1"),
        ({10: 0xFF0}, "no cluster"),
        ({3: 3}, "circle"),
        ({3: 4, 4: 3}, "circle"),
    ],
)
def test_broken_chains(bits: int, chains: dict[int, int], said: str) -> None:
    with refused_soon(said):
        tree_in(sample(bits, chains=chains))


@kinds
def test_a_cluster_marked_as_bad_is_in_no_file(bits: int) -> None:
    bad = {12: 0xFF7, 16: 0xFFF7, 32: 0x0FFFFFF7}[bits]
    for chains in ({10: bad}, {3: bad}):
        with refused_soon("from (10|3) to one that is marked as bad"):
            tree_in(sample(bits, chains=chains))


@kinds
def test_a_file_whose_chain_is_too_short(bits: int) -> None:
    with refused_soon("'EFI/BOOT/BOOTX64.EFI' ends after 1024 of 1280"):
        tree_in(sample(bits, chains={40: CHAIN_ENDS[bits]}))


@kinds
@pytest.mark.parametrize(
    ("name", "attributes", "cluster", "size", "said"),
    [
        (b"OTHER   EFI", 0x20, 10, 100, "into another"),  # the same file twice
        (b"OTHER   EFI", 0x20, 11, 100, "into another"),  # the end of it
        (b"OTHER   EFI", 0x20, 3, 100, "into another"),  # a directory
        (b"LOOP       ", 0x10, 3, 0, "into another"),  # a directory twice
        (b"LOOP       ", 0x10, 5, 0, "into another"),  # a file as a directory
        (b"LOOP       ", 0x10, 0, 0, "no cluster 0"),
        (b"LOOP       ", 0x10, 0xFFFF, 0, "no cluster"),
    ],
)
def test_what_shares_clusters_is_refused(
    bits: int, name: bytes, attributes: int, cluster: int, size: int, said: str
) -> None:
    extra = short_entry(name, attributes=attributes, cluster=cluster, size=size)
    with refused_soon(said):
        tree_in(sample(bits, root_extra=extra))


@kinds
@pytest.mark.parametrize("up", [2, 3, 4])
def test_a_circle_of_directories_is_refused(bits: int, up: int) -> None:
    loop = short_entry(b"AGAIN      ", attributes=0x10, cluster=up)
    step = short_entry(b"STEP       ", attributes=0x10, cluster=4)
    start = short_entry(b"START      ", attributes=0x10, cluster=3)
    # Cluster 2 is the root on FAT32; on the others it is one more directory below, and leads nowhere.
    image = with_root(bits, start, {2: loop if up != 2 else start, 3: step, 4: loop})
    with refused_soon("circle"):
        tree_in(image)


def test_directories_in_one_another_without_end_are_refused() -> None:
    clusters = {
        number: short_entry(b"DEEPER     ", attributes=0x10, cluster=number + 1) for number in range(3, 90)
    }
    root = short_entry(b"DEEPER     ", attributes=0x10, cluster=3)
    with refused_soon("32 deep"):
        tree_in(with_root(12, root, clusters | {90: b""}))
    deep = {number: data for number, data in clusters.items() if number < 34}
    paths = [path for path, _ in tree_in(with_root(12, root, deep | {34: b""})).walk()]
    assert paths[-1].count("/") == 31


def test_a_path_without_end_is_refused() -> None:
    # Each directory has a name of 208 characters in 17 entries; that is two clusters.
    long = long_entries("n" * 208, b"LONG~1     ")
    clusters: dict[int, bytes] = {}
    for level in range(6):
        entries = long + short_entry(b"LONG~1     ", attributes=0x10, cluster=10 + 2 * level)
        clusters |= {8 + 2 * level: entries[:SECTOR], 9 + 2 * level: entries[SECTOR:]}
    root = short_entry(b"TOP        ", attributes=0x10, cluster=8)
    links = {8 + 2 * level: 9 + 2 * level for level in range(6)}
    with refused_soon("more than 1040 characters"):
        tree_in(with_root(12, root, clusters | {20: b""}, links))


def test_files_without_end_are_refused() -> None:
    names = b"".join(short_entry(f"F{number:07d}   ".encode()) for number in range(20_001))
    clusters = {3 + at // SECTOR: names[at : at + SECTOR] for at in range(0, len(names), SECTOR)}
    links = {number: number + 1 for number in clusters if number + 1 in clusters}
    root = short_entry(b"MANY       ", attributes=0x10, cluster=3)
    with refused_soon("more than 20000 files"):
        tree_in(with_root(16, root, clusters, links))


def test_a_directory_without_end_is_refused() -> None:
    clusters = dict.fromkeys(range(3, 3 + 4097), b"\xe5" * SECTOR)
    links = {number: number + 1 for number in range(3, 3 + 4096)}
    root = short_entry(b"LONG       ", attributes=0x10, cluster=3)
    image = with_root(16, root, clusters, links)
    with refused_soon("longer than directories can be"):
        tree_in(image)
    with pytest.raises(FatError, match="longer than directories can be"):
        FatFileSystem(BytesReader(image)).list("LONG")
    del links[3 + 4095], clusters[3 + 4096]
    (directory,) = tree_in(with_root(16, root, clusters, links)).nodes
    assert isinstance(directory, FatDirectory)
    assert directory.nodes == ()


def test_directories_that_fill_the_disk_are_refused() -> None:
    nodes = tuple(FatDirectory(name=f"{number}") for number in range(1100))
    tree = FatTree(label=None, volume_id=1, nodes=(FatDirectory(name="MANY", nodes=nodes),))
    size = 2000 * MIB
    image = build_tree(tree, size=size, forms=[lay_out(size, 512, bits=16)])
    with refused_soon("directories take more than"):
        read_tree(ImageReader(image), limit=0)


@pytest.mark.parametrize("name", ["a/b", "a\\b", "..", ".", "a\x01b", "what?", "a" * 256, 'a"b', "c:"])
def test_names_that_can_not_stand_are_refused(name: str) -> None:
    short = b"BAD        "
    with refused_soon("has the name"):
        tree_in(with_root(16, long_entries(name, short) + short_entry(short), {}))


def test_an_entry_without_a_name_is_refused() -> None:
    with refused_soon("has the name ''"):
        tree_in(with_root(12, short_entry(b"           "), {}))


def test_a_name_that_stands_twice_is_refused() -> None:
    long = long_entries("Same name", b"SAMENA~1   ") + short_entry(b"SAMENA~1   ")
    for twice in (long * 2, short_entry(b"A       TXT") * 2):
        with refused_soon("stands twice"):
            tree_in(with_root(12, twice, {}))


def test_names_that_differ_in_case_only_are_two_names() -> None:
    # Linux makes them where it is mounted with UTF-8.
    root = b"".join(
        long_entries(name, short) + short_entry(short)
        for name, short in [("Grub.cfg", b"GRUB~1  CFG"), ("grub.CFG", b"GRUB~2  CFG")]
    )
    tree = tree_in(with_root(12, root, {}))
    assert [node.name for node in tree.nodes] == ["Grub.cfg", "grub.CFG"]
    assert read_tree(ImageReader(made_anew(tree, sector_size=512, size=MIB)), limit=0) == tree


def test_half_a_surrogate_pair_in_a_name_comes_back() -> None:
    short = b"HALF~1     "
    pieces = bytearray(long_entries("half-x", short))
    pieces[1 + 10 + 3 : 1 + 10 + 3 + 2] = b"\x00\xd8"
    tree = tree_in(with_root(12, bytes(pieces) + short_entry(short), {}))
    assert [node.name for node in tree.nodes] == ["half-\ud800"]
    assert read_tree(ImageReader(made_anew(tree, sector_size=512, size=MIB)), limit=0) == tree


@settings(max_examples=400, deadline=5000)
@given(
    st.sampled_from([12, 32]),
    st.lists(st.tuples(st.integers(0, 6000), st.binary(min_size=1, max_size=6)), min_size=1, max_size=6),
)
def test_mutations_are_read_and_made_anew_or_refused(bits: int, changes: list[tuple[int, bytes]]) -> None:
    image = sample(bits)
    for at, data in changes:
        image[at : at + len(data)] = data
    try:
        tree = tree_in(image, limit=MIB)
        again = made_anew(tree, sector_size=4096, size=2 * MIB)
    except NoRoom:
        raise
    except DiskError:
        return
    assert read_tree(ImageReader(again), limit=MIB) == tree
