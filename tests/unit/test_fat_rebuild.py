"""FAT file systems made anew from trees: what is read back equals what went in."""

import os
import struct
import time
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning.byte_access import BytesReader
from partitioning.errors import NoRoom
from partitioning.fat.additions import tree_of, with_files
from partitioning.fat.file_system import FatFileSystem
from partitioning.fat.format import FatTimes
from partitioning.fat.names import ShortName, can_stand, folded
from partitioning.fat.rebuild import made_anew, rebuilt
from partitioning.fat.short_names import with_short_names
from partitioning.fat.tree import FatDirectory, FatFile, FatNode, FatTree, read_tree
from partitioning.fat.volume import FatError
from partitioning.fat.writer import FatImage, build_tree, least_size
from tests.fat_samples import LOADER, LONG, ImageReader, fat_image, long_entries, sample, short_entry
from tests.fat_trees import FORMS, trees

MIB = 1 << 20
GENEROUS = 1 << 30
FALLBACK = "EFI/BOOT/BOOTX64.EFI"


def tree_in(image: FatImage) -> FatTree:
    return read_tree(ImageReader(image), limit=GENEROUS)


def made(*nodes: FatNode, sector_size: int = 512, size: int = MIB) -> FatTree:
    tree = FatTree(label=None, volume_id=1, nodes=nodes)
    return tree_in(made_anew(tree, sector_size=sector_size, size=size))


def short_names(tree: FatTree) -> list[bytes]:
    return [node.short.raw for _, node in tree.walk() if node.short]


def file(name: str, short: bytes | None = None, *, case: int = 0) -> FatFile:
    return FatFile(name=name, content=b"x", short=ShortName(raw=short, case=case) if short else None)


# --- Any tree comes back ---


@settings(max_examples=80, deadline=5000)
@given(trees(), st.sampled_from(FORMS))
def test_any_tree_comes_back(tree: FatTree, form: tuple[int, int, int]) -> None:
    sector_size, size, bits = form
    again = tree_in(made_anew(tree, sector_size=sector_size, size=size))
    assert again == tree
    assert again.bits == bits
    check_short_names(again.nodes)
    # And once more: what has its short names already keeps them.
    third = tree_in(made_anew(again, sector_size=512, size=2 * MIB))
    assert third == tree
    assert short_names(third) == short_names(again)


def check_short_names(nodes: tuple[FatNode, ...]) -> None:
    shorts = [node.short for node in nodes if node.short]
    assert len({short.raw for short in shorts}) == len(shorts) == len(nodes)
    assert all(short.is_sound for short in shorts)
    names = {folded(node.name) for node in nodes}
    for node, short in zip(nodes, shorts, strict=True):
        shown = folded(short.text)
        assert shown == folded(node.name) or shown not in names
        if isinstance(node, FatDirectory):
            check_short_names(node.nodes)


# --- Names ---


def test_a_name_of_lower_case_letters_keeps_the_form_it_had() -> None:
    bits_alone = file("grub.cfg", b"GRUB    CFG", case=0x18)
    assert short_names(made(bits_alone)) == [b"GRUB    CFG"]
    tree = FatTree(label=None, volume_id=1, nodes=(bits_alone,))
    raw = made_anew(tree, sector_size=512, size=MIB).data()
    assert raw.count(b"GRUB    CFG") == 1
    assert b"g\0r\0u\0b\0" not in raw  # no long name
    assert raw[raw.index(b"GRUB    CFG") + 12] == 0x18
    # As Linux makes it: a long name, whose short one is the same in upper case.
    with_long_name = replace(bits_alone, short=ShortName(raw=b"GRUB    CFG"))
    tree = FatTree(label=None, volume_id=1, nodes=(with_long_name,))
    raw = made_anew(tree, sector_size=512, size=MIB).data()
    assert b"g\0r\0u\0b\0" in raw
    assert raw[raw.index(b"GRUB    CFG") + 12] == 0


def test_a_real_short_name_goes_before_an_alias_that_is_the_same() -> None:
    long = file("grub configuration.cfg", b"GRUB~1  CFG")
    assert short_names(made(long, file("GRUB_1.CFG"))) == [b"GRUB~1  CFG", b"GRUB_1  CFG"]
    taken = file("GRUB~1.CFG", b"GRUB~1  CFG")
    assert short_names(made(long, taken)) == [b"GRUBCO~1CFG", b"GRUB~1  CFG"]
    # The other one has the name as its long name only.
    other = file("grub~1.cfg", b"OTHER   CFG")
    assert short_names(made(long, other)) == [b"GRUBCO~1CFG", b"OTHER   CFG"]


def test_of_two_names_that_differ_in_case_only_one_is_a_short_name() -> None:
    both = [file("ABC", b"ABC        ", case=0x08), file("abc", b"ABC        ", case=0x08), file("ABC.D")]
    names = made(*both)
    assert [node.name for node in names.nodes] == ["ABC", "abc", "ABC.D"]
    assert short_names(names) == [b"ABC        ", b"ABC~2      ", b"ABC     D  "]


def test_a_new_alias_has_the_number_of_its_place() -> None:
    # So that the same files give the same ConfigDrive as ever.
    tree = tree_of({"a.json": b"", "B.TXT": b"", "long name": b""}, label="X", volume_id=1)
    again = tree_in(made_anew(tree, sector_size=512, size=MIB))
    assert short_names(again) == [b"B       TXT", b"A~2     JSO", b"LONGNA~3   "]


def test_a_new_alias_is_no_other_name() -> None:
    nodes = [file("new name.txt"), file("NEWNAM~1.TXT", b"NEWNAM~1TXT"), file("newnam~2.txt", b"ANOTHER TXT")]
    assert short_names(made(*nodes)) == [b"NEWNAM~3TXT", b"NEWNAM~1TXT", b"ANOTHER TXT"]


def test_aliases_are_found_soon_where_many_are_taken() -> None:
    new = [file(f"longname {number}") for number in range(8000)]
    tails = [f"~{number}" for number in range(1, 8000)]
    taken = [file(f"x {tail}", f"{'LONGNAME'[: 8 - len(tail)]}{tail}".ljust(11).encode()) for tail in tails]
    begun = time.process_time()
    held = with_short_names([*new, *taken])
    assert time.process_time() - begun < 5
    assert len({named.short.raw for named in held}) == 15_999
    assert held[0].short.raw == b"LON~8000   "


@pytest.mark.parametrize(
    "short",
    [b" LEADING   ", b"lower   txt", b"A/B        ", b"A+B        ", b"A\x01B        ", b"A.B        "],
)
def test_short_names_that_no_checker_lets_pass_are_made_anew(short: bytes) -> None:
    (name,) = short_names(made(file("Some name", short)))
    assert name == b"SOMENA~1   "


@pytest.mark.parametrize("units", [1, 12, 13, 14, 25, 26, 27, 254, 255])
@pytest.mark.parametrize("letter", ["n", "🚀"])
def test_long_names_of_every_length(units: int, letter: str) -> None:
    width = len(letter.encode("utf-16-le")) // 2
    name = "x" * (units % width) + letter * (units // width)
    assert [node.name for node in made(file(name)).nodes] == [name]
    # In front of a pair of units an odd one, so that the pair is split between two entries.
    name = name[:-1] + "y" if width == 1 else "x" + name[:-1]
    assert [node.name for node in made(file(name)).nodes] == [name]


def test_a_name_that_is_too_long_is_refused() -> None:
    assert can_stand("n" * 255)
    assert not can_stand("n" * 256)
    assert not can_stand("🚀" * 128)
    with pytest.raises(FatError):
        FatTree(label=None, volume_id=1, nodes=(file("🚀" * 128),))


def test_dot_entries_have_the_times_of_their_directory() -> None:
    first, second = FatTimes(written_date=0x1111), FatTimes(written_date=0x2222)
    inner = FatDirectory(name="INNER", times=second)
    tree = FatTree(
        label=None,
        volume_id=1,
        nodes=(FatDirectory(name="OUTER", times=first, nodes=(inner,), attributes=2),),
    )
    raw = made_anew(tree, sector_size=512, size=MIB).data()
    starts = [at for at in range(0, len(raw), 512) if raw[at : at + 2] == b". "]
    dates = [struct.unpack_from("<H", raw, at + 24)[0] for start in starts for at in (start, start + 32)]
    assert dates == [0x1111, 0x1111, 0x2222, 0x2222]
    assert [raw[start + 11] for start in starts] == [0x10, 0x10]


# --- The label ---


@pytest.mark.parametrize("label", [None, "ESP", "config-2", "\u03c3x", "A B C", "ELEVENBYTES"])
@pytest.mark.parametrize(("bits", "size"), [(12, MIB), (32, 34 * MIB)])
def test_the_label_stands_in_both_places_or_in_none(label: str | None, bits: int, size: int) -> None:
    tree = FatTree(label=label, volume_id=0xFFFF0000)
    image = made_anew(tree, sector_size=512, size=size)
    assert tree_in(image) == tree
    volume = FatFileSystem(ImageReader(image))
    assert (volume.bits, volume.label, volume.volume_id) == (bits, label or "", "FFFF-0000")
    at = 71 if bits == 32 else 43
    boot_label = image.data()[at : at + 11].rstrip(b" ")
    assert boot_label == (
        b"NO NAME" if label is None else b"\x05x" if label[0] == "\u03c3" else label.encode()
    )
    assert volume.list() == ()


# --- Type and size ---


@pytest.mark.parametrize(
    ("sector_size", "size", "bits", "cluster"),
    [
        (512, MIB, 12, 512),
        (512, 16 * MIB, 16, 512),
        (512, 32 * MIB, 16, 512),
        (512, 33 * MIB, 32, 512),
        (512, 512 * MIB, 32, 4096),
        (4096, 8 * MIB, 12, 4096),
        (4096, 100 * MIB, 16, 4096),
        (4096, 256 * MIB, 16, 4096),
        (4096, 260 * MIB, 32, 4096),
        (4096, 1024 * MIB, 32, 8192),
    ],
)
def test_it_is_fat32_where_there_are_enough_clusters(
    sector_size: int, size: int, bits: int, cluster: int
) -> None:
    image = made_anew(
        tree_of({FALLBACK: LOADER}, label="EFI", volume_id=1), sector_size=sector_size, size=size
    )
    boot = image.pieces[0][1]
    assert image.size == size
    assert struct.unpack_from("<HB", boot, 11) == (sector_size, cluster // sector_size)
    assert tree_in(image).bits == bits


def test_files_that_fit_fat16_only_get_fat16() -> None:
    size = 40 * MIB
    tree = FatTree(label=None, volume_id=1, nodes=(FatFile(name="BIG", content=bytes(size - 400_000)),))
    assert tree_in(made_anew(tree, sector_size=512, size=size)).bits == 16


def test_many_small_files_get_smaller_clusters() -> None:
    size = 260 * MIB
    content = bytes(4097)
    nodes = tuple(
        FatDirectory(
            name=f"{number}",
            nodes=tuple(FatFile(name=f"{file}", content=content) for file in range(3350)),
        )
        for number in range(10)
    )
    image = made_anew(FatTree(label=None, volume_id=1, nodes=nodes), sector_size=512, size=size)
    assert image.pieces[0][1][13] == 4
    assert FatFileSystem(ImageReader(image)).bits == 32


def test_contents_are_not_copied() -> None:
    content = bytes(100_000)
    tree = FatTree(label=None, volume_id=1, nodes=(FatFile(name="A", content=content),))
    image = made_anew(tree, sector_size=512, size=MIB)
    assert any(piece is content for _, piece in image.pieces)


@pytest.mark.parametrize("size", [0, 4096, 100_000, (1 << 41) + MIB, 1 << 60])
def test_what_does_not_fit_is_refused(size: int) -> None:
    tree = FatTree(label=None, volume_id=1, nodes=(FatFile(name="A", content=bytes(100_000)),))
    with pytest.raises(NoRoom, match="100000 bytes in 1 files do not fit"):
        made_anew(tree, sector_size=512, size=size)


def test_the_largest_size_has_as_many_sectors_as_can_be_counted() -> None:
    size = (1 << 41) - 512
    tree = tree_of({FALLBACK: LOADER}, label=None, volume_id=1)
    assert tree_in(made_anew(tree, sector_size=512, size=size)) == tree


def test_a_root_directory_that_is_too_small_is_named_as_the_reason() -> None:
    nodes = tuple(file(f"{number}") for number in range(600))
    tree = FatTree(label=None, volume_id=1, nodes=nodes)
    with pytest.raises(NoRoom, match="The root directory"):
        made_anew(tree, sector_size=4096, size=64 * MIB)
    assert tree_in(made_anew(tree, sector_size=4096, size=300 * MIB)) == tree


def test_a_directory_with_more_entries_than_there_can_be_is_refused() -> None:
    nodes = tuple(file(f"{number:030}") for number in range(17_000))
    tree = FatTree(label=None, volume_id=1, nodes=(FatDirectory(name="MANY", nodes=nodes),))
    with pytest.raises(NoRoom, match="A directory holds fewer names"):
        made_anew(tree, sector_size=512, size=300 * MIB)
    with pytest.raises(NoRoom, match="A directory holds fewer names"):
        least_size({f"MANY/{node.name}": b"" for node in nodes}, 512, bits=32)


def test_no_form_at_all_is_no_room() -> None:
    with pytest.raises(NoRoom):
        build_tree(FatTree(label=None, volume_id=1), size=MIB, forms=[])


def test_a_full_fat32_does_not_say_where_a_free_cluster_is() -> None:
    size = 34 * MIB
    empty = made_anew(FatTree(label=None, volume_id=1), sector_size=512, size=size)
    (free,) = struct.unpack_from("<I", empty.pieces[1][1], 488)
    full = FatTree(label=None, volume_id=1, nodes=(FatFile(name="A", content=bytes(free * 512)),))
    image = made_anew(full, sector_size=512, size=size)
    assert tree_in(image) == full
    assert struct.unpack_from("<II", image.pieces[1][1], 488) == (0, 0xFFFFFFFF)


# --- Made anew from another file system, with files added ---


def test_contents_are_in_memory_once() -> None:
    content = os.urandom(24 * MIB)
    tree = FatTree(label=None, volume_id=1, nodes=(FatFile(name="INITRD.IMG", content=content),))
    source = BytesReader(made_anew(tree, sector_size=512, size=64 * MIB).data())
    tracemalloc.start()
    try:
        image = rebuilt(source, sector_size=4096, size=64 * MIB, limit=GENEROUS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert tree_in(image) == tree
    assert peak < len(content) * 1.5


@pytest.mark.parametrize("bits", [12, 16, 32])
@pytest.mark.parametrize("sector_size", [512, 4096])
def test_a_file_system_is_made_anew(bits: int, sector_size: int) -> None:
    source = BytesReader(bytes(sample(bits)))
    image = rebuilt(source, sector_size=sector_size, size=4 * MIB, limit=GENEROUS)
    tree = tree_in(image)
    assert tree == read_tree(source, limit=GENEROUS)
    assert short_names(tree) == short_names(read_tree(source, limit=GENEROUS))


def test_the_limit_is_for_what_is_read() -> None:
    source = BytesReader(bytes(sample(12)))
    with pytest.raises(FatError, match="more than the 100 bytes"):
        rebuilt(source, sector_size=512, size=MIB, limit=100)


def listed(add: dict[str, bytes], bits: int = 12) -> dict[str, bytes | None]:
    source = BytesReader(bytes(sample(bits)))
    tree = tree_in(rebuilt(source, sector_size=512, size=MIB, limit=GENEROUS, add=add))
    assert tree == with_files(read_tree(source, limit=GENEROUS), add)
    return {path: node.content if isinstance(node, FatFile) else None for path, node in tree.walk()}


def test_a_file_is_added_after_what_is_there() -> None:
    before = listed({})
    after = listed({"efi/boot/GRUBX64.EFI": b"grub"})
    assert list(after) == [
        "EFI",
        "EFI/BOOT",
        FALLBACK,
        "EFI/BOOT/GRUBX64.EFI",
        "EMPTY.TXT",
        "\u03c3lower.txt",
        LONG,
    ]
    assert after == before | {"EFI/BOOT/GRUBX64.EFI": b"grub"}


def test_directories_are_made_as_needed() -> None:
    after = listed({"EFI/byoi/deep/A.EFI": b"1", "efi/BYOI/deep/B.EFI": b"2", "new/x": b"3"})
    assert list(after)[3:6] == ["EFI/byoi", "EFI/byoi/deep", "EFI/byoi/deep/A.EFI"]
    assert after["EFI/byoi/deep/B.EFI"] == b"2"
    assert list(after)[-2:] == ["new", "new/x"]


def test_a_file_that_is_there_is_replaced_in_its_place() -> None:
    before = listed({})
    after = listed({"efi/boot/bootx64.efi": b"other"})
    assert list(after) == list(before)
    assert after == before | {FALLBACK: b"other"}


def test_a_file_is_known_by_its_short_name_too() -> None:
    after = listed({"ARATHE~1.EFI": b"other"})
    assert after == listed({}) | {LONG: b"other"}


def test_letters_that_are_not_one_are_not_taken_for_one() -> None:
    tree = tree_of({"straße": b"1"}, label=None, volume_id=1)
    assert [path for path, _ in with_files(tree, {"STRASSE": b"2"}).walk()] == ["straße", "STRASSE"]
    assert [path for path, _ in with_files(tree, {"STRAßE": b"2"}).walk()] == ["straße"]


def test_a_replaced_file_keeps_attributes_times_and_short_name() -> None:
    times = FatTimes(created_date=0x5555)
    node = FatFile(
        name="a long name", content=b"1", attributes=0x03, times=times, short=ShortName(raw=b"A" * 11)
    )
    tree = FatTree(label=None, volume_id=1, nodes=(node,))
    (after,) = with_files(tree, {"A LONG NAME": b"2"}).nodes
    assert after == replace(node, content=b"2")
    assert after.short == node.short


@pytest.mark.parametrize(
    ("add", "said"),
    [
        ({"EMPTY.TXT/x": b""}, "'EMPTY.TXT' is a file"),
        ({"EFI/BOOT": b""}, "'EFI/BOOT' is a directory"),
        ({"a": b"", "A": b""}, "'A' differs"),
        ({"x/a": b"", "X/A": b""}, "'x/A' differs"),
        ({"x/a": b"", "x": b""}, "both a file and a directory"),
        ({"": b""}, "can not stand"),
        ({"/EFI": b""}, "can not stand"),
        ({"EFI/": b""}, "can not stand"),
        ({"EFI//x": b""}, "can not stand"),
        ({"EFI/../x": b""}, "can not stand"),
        ({"EFI\\x": b""}, "can not stand"),
        ({"x" * 256: b""}, "can not stand"),
    ],
)
def test_what_can_not_be_added_is_refused(add: dict[str, bytes], said: str) -> None:
    with pytest.raises(FatError, match=said) as error:
        listed(add)
    assert error.value.message == "The files can not be added to the FAT file system."


def test_an_alias_as_linux_makes_it_is_kept() -> None:
    short = b"GRUB    CFG"
    root = long_entries("grub.cfg", short) + short_entry(short, cluster=5, size=4)
    source = BytesReader(bytes(fat_image(12, {5: b"menu"}, {}, count=100, root=root)))
    image = rebuilt(source, sector_size=4096, size=MIB, limit=4)
    volume = FatFileSystem(ImageReader(image))
    (entry,) = volume.list()
    assert (entry.name, entry.short_name) == ("grub.cfg", "GRUB.CFG")
    assert volume.read("GRUB.CFG", 4) == b"menu"
