"""The FAT reader on file systems made by mkfs.fat and filled by mtools."""

import os
from pathlib import Path

import pytest

from partitioning.fat.file_system import FatFileSystem
from partitioning.open_disk import open_for_reading
from tests.small_images import MIB, tool

# Bits, logical sector size, size of the file system, more words for mkfs.fat.
VOLUMES = [
    (12, 512, 4 * MIB, []),
    (12, 4096, 8 * MIB, []),
    (16, 512, 32 * MIB, []),
    (16, 1024, 64 * MIB, ["-s", "4"]),
    (16, 2048, 64 * MIB, ["-f", "1", "-s", "2"]),
    (16, 4096, 64 * MIB, ["-s", "1"]),
    (32, 512, 64 * MIB, ["-s", "1"]),
    (32, 4096, 300 * MIB, ["-s", "1"]),
]
FILES = {
    "EFI/BOOT/BOOTX64.EFI": os.urandom(300_001),
    "EFI/BOOT/fbx64.efi": b"",
    "EFI/debian/A file with a long name, Grub ä ÿ.cfg": os.urandom(4096),
    "openstack/2015-10-15/meta_data.json": b"{}\n",
    "README.TXT": os.urandom(513),
    **{f"many/entry number {number:04}.txt": str(number).encode() for number in range(300)},
}


@pytest.fixture(params=VOLUMES, ids=lambda volume: f"FAT{volume[0]}-{volume[1]}-{volume[2] // MIB}MiB")
def volume(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, int]:
    bits, sector, size, words = request.param
    path = tmp_path / "volume"
    path.touch()
    os.truncate(path, size)
    tool("mkfs.fat", "-F", str(bits), "-S", str(sector), "-n", "CONFIG-2", "-i", "1234abcd", *words, path)
    tree = tmp_path / "tree"
    for name, data in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    tool("mcopy", "-s", "-i", path, *tree.iterdir(), "::")
    # A hole in the chains: what is freed and taken again is not in one piece.
    tool("mdel", "-i", path, "::README.TXT")
    tool("mcopy", "-i", path, tree / "README.TXT", "::")
    return path, bits


def test_everything_is_found_and_read(volume: tuple[Path, int]) -> None:
    path, bits = volume
    with open_for_reading(path) as disk:
        fat = FatFileSystem(disk)
        assert (fat.bits, fat.label, fat.volume_id) == (bits, "CONFIG-2", "1234-ABCD")
        for name, data in FILES.items():
            assert fat.read(name, len(data)) == data, name
            assert fat.read(name.swapcase(), len(data)) == data, name
        assert {entry.name for entry in fat.list()} == {name.split("/")[0] for name in FILES}
        assert len(fat.list("many")) == 300
        assert not fat.exists("EFI/BOOT/BOOTAA64.EFI")


def test_labels_are_as_mlabel_leaves_them(volume: tuple[Path, int]) -> None:
    path, _ = volume
    tool("mlabel", "-i", path, "::other")
    with open_for_reading(path) as disk:
        assert FatFileSystem(disk).label == "OTHER"
    tool("mlabel", "-c", "-i", path, "::")
    with open_for_reading(path) as disk:
        assert FatFileSystem(disk).label == ""


@pytest.mark.parametrize(("sector", "size"), [(512, 3 * MIB), (4096, 4 * MIB)])
def test_a_small_fat32_is_a_fat32_though_it_has_few_clusters(tmp_path: Path, sector: int, size: int) -> None:
    # As an ESP that was made with -F 32; Linux and EDK II take it for FAT32, only mtools does not.
    path = tmp_path / "volume"
    path.touch()
    os.truncate(path, size)
    tool("mkfs.fat", "-F", "32", "-S", str(sector), "-s", "1", "-n", "ESP", path)
    with open_for_reading(path) as disk:
        fat = FatFileSystem(disk)
        assert (fat.bits, fat.label, fat.list()) == (32, "ESP", ())
