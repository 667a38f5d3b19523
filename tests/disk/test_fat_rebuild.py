"""FAT file systems of mkfs.fat and mtools made anew, judged by fsck.fat, mtools, blkid and GRUB."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partitioning.fat.additions import with_files
from partitioning.fat.rebuild import made_anew, rebuilt
from partitioning.fat.tree import FatDirectory, FatFile, FatTree, read_tree
from partitioning.open_disk import open_for_reading
from tests.fat_samples import write_fat
from tests.fat_trees import FORMS, trees
from tests.small_images import MIB, tool

GENEROUS = 1 << 30
# 2021-03-04 05:06:08 UTC
WRITTEN = 1614834368

FILES = {
    "EFI/BOOT/fbx64.efi": os.urandom(88_001),
    "EFI/debian/shimx64.efi": os.urandom(900_000),
    "EFI/debian/grub.cfg": b"search.fs_uuid\n",
    "EFI/debian/BOOTX64.CSV": "shimx64.efi,debian,,This\n".encode("utf-16"),
    "EFI/debian/A file with a long name, Grub ä ÿ.cfg": os.urandom(4096),
    "EFI/debian/ключ от двери.txt": b"key",
    "loader/entries/6c1a2b3c4d5e4f60718293a4b5c6d7e8-6.1.0-13-amd64.conf": b"title Debian\n",
    "README.TXT": os.urandom(513),
    "lower.Txt": b"",
    "exactly13char": b"13",
    **{f"many/entry number {number:03}.txt": str(number).encode() for number in range(150)},
}
EMPTY = ["EFI/empty", "EFI/empty/empty below", "LOST.DIR"]
HIDDEN = "EFI/debian/grub.cfg"
READ_ONLY = "README.TXT"

# Bits, logical sector size, size; then bits at the other sector size.
SOURCES = [
    (12, 512, 4 * MIB, 12),
    (12, 4096, 2 * MIB, 12),
    (12, 4096, 15 * MIB, 16),
    (16, 512, 32 * MIB, 16),
    (16, 4096, 64 * MIB, 32),
    (32, 512, 64 * MIB, 16),
    (32, 512, 300 * MIB, 32),
    (32, 4096, 300 * MIB, 32),
]
OTHER = {512: 4096, 4096: 512}


@pytest.fixture(autouse=True)
def utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    """For mtools to take and give names as UTF-8, and times as UTC."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture(params=SOURCES, ids=lambda source: f"FAT{source[0]}-{source[1]}-{source[2] // MIB}M")
def form(request: pytest.FixtureRequest) -> tuple[int, int, int, int]:
    found: tuple[int, int, int, int] = request.param
    return found


@pytest.fixture
def source(form: tuple[int, int, int, int], tmp_path: Path) -> Path:
    bits, sector_size, size, _ = form
    path = formatted(tmp_path / "source", bits, sector_size, size, "-n", "Boot 1")
    fill(path, FILES, tmp_path / "tree")
    for directory in EMPTY:
        tool("mmd", "-i", path, f"::/{directory}")
    # Freed and taken again: chains that are not in one piece, and entries out of the order of names.
    tool("mdel", "-i", path, "::/EFI/debian/shimx64.efi", "::/many/entry number 010.txt")
    fill(path, {"EFI/debian/shimx64.efi": FILES["EFI/debian/shimx64.efi"]}, tmp_path / "again")
    fill(path, {"many/entry number 010.txt": b"10"}, tmp_path / "again")
    tool("mattrib", "-i", path, "+r", f"::/{READ_ONLY}")
    tool("mattrib", "-i", path, "+h", "+s", "-a", f"::/{HIDDEN}")
    tool("mattrib", "-i", path, "+h", "::/LOST.DIR")
    return path


def formatted(path: Path, bits: int, sector_size: int, size: int, *words: str) -> Path:
    path.touch()
    os.truncate(path, size)
    per_cluster = ["-s", "1"] if sector_size == 4096 else []
    root = [] if bits == 32 else ["-r", "512"]
    tool(
        "mkfs.fat",
        "-F",
        str(bits),
        "-S",
        str(sector_size),
        "-i",
        "1234abcd",
        *per_cluster,
        *root,
        *words,
        path,
    )
    return path


def fill(path: Path, files: Mapping[str, bytes], tree: Path) -> None:
    for name, data in files.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, (WRITTEN + len(data), WRITTEN + len(data)))
    tool("mcopy", "-s", "-m", "-D", "o", "-i", path, *tree.iterdir(), "::")


def read(path: Path) -> FatTree:
    with open_for_reading(path) as disk:
        return read_tree(disk, limit=GENEROUS)


def rebuild(source: Path, target: Path, sector_size: int, add: Mapping[str, bytes]) -> Path:
    with open_for_reading(source) as disk:
        write_fat(target, rebuilt(disk, sector_size=sector_size, size=disk.size, limit=GENEROUS, add=add))
    return target


def listing(path: Path) -> str:
    """What mdir shows of the whole tree: label, serial number, both names, sizes, times, in their order."""
    return re.sub(r" *[\d ]+ bytes free", "", tool("mdir", "-a", "-/", "-i", path, "::/"))


def contents(path: Path, out: Path) -> dict[str, bytes]:
    out.mkdir()
    tool("mcopy", "-s", "-n", "-i", path, "::/*", f"{out}/")
    return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}


def facts(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in tool("blkid", "-p", "-o", "export", path).splitlines())


def attributes(path: Path) -> list[str]:
    return tool("mattrib", "-/", "-i", path, "::/").splitlines()


def test_it_is_the_same_at_the_other_sector_size(
    source: Path, form: tuple[int, int, int, int], tmp_path: Path
) -> None:
    _, sector_size, size, bits = form
    target = rebuild(source, tmp_path / "target", OTHER[sector_size], {})
    tool("fsck.fat", "-n", "-v", target)
    assert target.stat().st_size == size
    assert f"sector size: {OTHER[sector_size]} bytes" in tool("minfo", "-i", target, "::")
    assert listing(target) == listing(source)
    assert "entry number 010.txt" in listing(target)
    assert attributes(target) == attributes(source)
    assert contents(target, tmp_path / "out") == FILES
    before, after = facts(source), facts(target)
    assert after["VERSION"] == f"FAT{bits}"
    assert after["BLOCK_SIZE"] == str(OTHER[sector_size])
    assert after["UUID"] == before["UUID"] == "1234-ABCD"
    assert after["LABEL"] == before["LABEL"]
    assert after["LABEL_FATBOOT"] == before["LABEL_FATBOOT"]
    tree = read(target)
    assert tree == read(source)
    assert {path for path, node in tree.walk() if isinstance(node, FatDirectory) and not node.nodes} == {
        "EFI/empty/empty below",
        "LOST.DIR",
    }


def test_what_is_listed_is_what_the_test_wants_to_see(source: Path) -> None:
    shown = {line.split("::/")[1]: line.split("::/")[0].split() for line in attributes(source)}
    assert shown[READ_ONLY] == ["A", "R"]
    assert shown[HIDDEN] == ["SH"]
    assert shown["LOST.DIR"] == ["H"]
    text = listing(source)
    assert re.search(r"^README +TXT +513 2021-03-04 +5:14", text, re.MULTILINE)
    assert re.search(r"^grub +cfg +15 ", text, re.MULTILINE)  # in lower case without a long name
    assert "ключ от двери.txt" in text


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_files_are_added(source: Path, sector_size: int, tmp_path: Path) -> None:
    add = {
        "efi/boot/BOOTX64.EFI": os.urandom(100_001),
        "EFI/DEBIAN/Grub.cfg": b"new",
        "new dir/a/b.txt": b"b",
    }
    target = rebuild(source, tmp_path / "target", sector_size, add)
    tool("fsck.fat", "-n", "-v", target)
    assert contents(target, tmp_path / "out") == FILES | {
        "EFI/BOOT/BOOTX64.EFI": add["efi/boot/BOOTX64.EFI"],
        "EFI/debian/grub.cfg": b"new",
        "new dir/a/b.txt": b"b",
    }
    boot = tool("mdir", "-i", target, "::/EFI/BOOT")
    assert re.search(r"^BOOTX64 +EFI +100001 1980-01-01 +0:00 *$", boot, re.MULTILINE)
    assert read(target) == with_files(read(source), add)


@pytest.mark.parametrize(
    ("bits", "sector_size", "size"), [(12, 512, 4 * MIB), (16, 512, 32 * MIB), (32, 4096, 300 * MIB)]
)
def test_no_label_is_kept_as_no_label(bits: int, sector_size: int, size: int, tmp_path: Path) -> None:
    source = formatted(tmp_path / "source", bits, sector_size, size)
    target = rebuild(source, tmp_path / "target", OTHER[sector_size], {"A.TXT": b"a"})
    tool("fsck.fat", "-n", "-v", target)
    assert "has no label" in tool("mdir", "-i", target, "::")
    before, after = facts(source), facts(target)
    assert "LABEL" not in after
    assert "LABEL_FATBOOT" not in after
    assert after["UUID"] == before["UUID"]


def test_an_empty_file_system_stays_empty(tmp_path: Path) -> None:
    source = formatted(tmp_path / "source", 32, 512, 64 * MIB, "-n", "EMPTY")
    target = rebuild(source, tmp_path / "target", 512, {})
    tool("fsck.fat", "-n", "-v", target)
    assert facts(target)["LABEL"] == "EMPTY"
    assert read(target).nodes == ()


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_characters_beyond_the_first_plane_are_read_by_grub(sector_size: int, tmp_path: Path) -> None:
    # mtools cuts them to 16 bits, both ways.
    names = ["smile 🚀.txt", "x" * 12 + "🚀 in two entries.txt", "日本語.txt"]
    nodes = tuple(FatFile(name=name, content=name.encode()) for name in names)
    path = tmp_path / "volume"
    write_fat(
        path, made_anew(FatTree(label="L", volume_id=1, nodes=nodes), sector_size=sector_size, size=64 * MIB)
    )
    tool("fsck.fat", "-n", "-v", path)
    listed = tool("grub-fstest", path, "ls", "/")
    for name in names:
        assert name in listed
        assert tool("grub-fstest", path, "cat", f"/{name}") == name
    assert [node.name for node in read(path).nodes] == names


def test_short_names_that_are_in_the_way_leave_nothing_to_check(tmp_path: Path) -> None:
    # Fifty names that all want the alias that others have as their own name.
    own = {f"LONGNA~{number}.TXT": b"" for number in range(1, 10)}
    long = {f"long name {number}.txt": b"" for number in range(50)}
    source = formatted(tmp_path / "source", 16, 512, 32 * MIB)
    fill(source, {f"d/{name}": data for name, data in own.items()}, tmp_path / "own")
    target = rebuild(source, tmp_path / "target", 512, {f"d/{name}": data for name, data in long.items()})
    tool("fsck.fat", "-n", "-v", target)
    assert contents(target, tmp_path / "out").keys() == {f"d/{name}" for name in own | long}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees(), st.sampled_from(FORMS))
def test_nothing_is_wrong_with_any_tree(tmp_path: Path, tree: FatTree, form: tuple[int, int, int]) -> None:
    sector_size, size, _ = form
    path = tmp_path / "volume"
    write_fat(path, made_anew(tree, sector_size=sector_size, size=size))
    tool("fsck.fat", "-n", path)
