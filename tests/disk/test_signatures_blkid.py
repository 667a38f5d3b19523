"""What stands on a device is told as blkid tells it."""

import os
from pathlib import Path

import pytest

from partitioning.open_disk import open_for_reading
from partitioning.signatures import FileSystem, identify
from tests.signature_samples import SAMPLES
from tests.small_images import MIB, tool

# blkid wants more of these than the few fields a sample has, or gives a label we do not read.
NOT_BY_HAND = {"xfs", "ntfs", "vfat"}

MAKERS: dict[str, list[str]] = {
    "ext2": ["mke2fs", "-q", "-t", "ext2", "-L", "two"],
    "ext3": ["mke2fs", "-q", "-t", "ext3", "-L", "three"],
    "ext4": ["mke2fs", "-q", "-t", "ext4", "-L", "four"],
    "journal": ["mke2fs", "-q", "-O", "journal_dev"],
    "swap": ["mkswap", "-L", "memory"],
    "FAT12": ["mkfs.fat", "-F", "12", "-n", "TWELVE"],
    "FAT16": ["mkfs.fat", "-F", "16", "-n", "SIXTEEN"],
    "FAT32": ["mkfs.fat", "-F", "32", "-n", "config-2"],
    "FAT32, large sectors": ["mkfs.fat", "-F", "32", "-S", "4096", "-s", "1", "-n", "CONFIG-2"],
    "nothing": ["true"],
}


def as_blkid_tells(path: Path) -> FileSystem | None:
    # Without a signature blkid ends with 2 and says nothing.
    said = tool("sh", "-c", f"blkid --probe --output export {path} || true")
    values = dict(line.split("=", 1) for line in said.splitlines())
    if "TYPE" not in values:
        return None
    return FileSystem(type=values["TYPE"], label=values.get("LABEL", ""), uuid=values.get("UUID", ""))


def as_we_tell(path: Path) -> FileSystem | None:
    with open_for_reading(path) as disk:
        return identify(disk)


@pytest.mark.parametrize("name", sorted(SAMPLES.keys() - NOT_BY_HAND))
def test_the_samples_are_good(name: str, tmp_path: Path) -> None:
    device, expected = SAMPLES[name]
    path = tmp_path / "device"
    if name == "zfs":
        device = device.ljust(65 * MIB, b"\0")
    elif name.startswith("zfs"):
        device = bytes(61 * MIB) + device
    path.write_bytes(device)
    assert as_blkid_tells(path) == as_we_tell(path) == expected


@pytest.mark.parametrize("words", MAKERS.values(), ids=MAKERS.keys())
def test_file_systems_that_tools_make(words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "device"
    path.touch()
    os.truncate(path, 40 * MIB)
    tool(*words, path)
    found = as_we_tell(path)
    assert found == as_blkid_tells(path)
    assert (found is None) == (words == ["true"])


@pytest.mark.parametrize("words", [["-J", "-R"], ["-R"], []])
def test_an_iso(words: list[str], tmp_path: Path) -> None:
    tree, path = tmp_path / "tree", tmp_path / "iso"
    tree.mkdir()
    (tree / "file").write_text("text")
    tool("xorriso", "-as", "mkisofs", "-quiet", "-V", "config-2", *words, "-o", path, tree)
    found = as_we_tell(path)
    assert found == as_blkid_tells(path)
    assert found is not None
    assert (found.type, found.label) == ("iso9660", "config-2")
