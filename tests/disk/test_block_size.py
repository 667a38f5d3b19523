"""The smallest unit of a file system, as blkid tells it, and as the kernel mounts it or not."""

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from partitioning.block_size import block_size, fat_of_other_size, unusable_on
from partitioning.open_disk import open_for_reading
from tests.disk.conftest import MakeLoop
from tests.disk.loop_device import mounted
from tests.signature_samples import SAMPLES
from tests.small_images import MIB, random_file, tool

MAKERS: dict[str, tuple[list[str], str, int]] = {
    "ext2, 1 KiB": (["mkfs.ext2", "-q", "-F", "-b", "1024"], "ext2", 1024),
    "ext3, 2 KiB": (["mkfs.ext3", "-q", "-F", "-b", "2048"], "ext3", 2048),
    "ext4, 1 KiB": (["mkfs.ext4", "-q", "-F", "-b", "1024"], "ext4", 1024),
    "ext4, 4 KiB": (["mkfs.ext4", "-q", "-F", "-b", "4096"], "ext4", 4096),
    "xfs, 512 B": (["mkfs.xfs", "-q", "-f", "-s", "size=512"], "xfs", 512),
    "xfs, 4 KiB": (["mkfs.xfs", "-q", "-f", "-s", "size=4096"], "xfs", 4096),
    "btrfs": (["mkfs.btrfs", "-q", "-f"], "btrfs", 4096),
    "btrfs, 64 KiB": (["mkfs.btrfs", "-q", "-f", "-s", "65536"], "btrfs", 65536),
}
OTHERS: dict[str, tuple[list[str], str, int]] = {
    "FAT16, 512 B": (["mkfs.fat", "-F", "16", "-S", "512", "-s", "32"], "vfat", 512),
    "FAT16, 2 KiB": (["mkfs.fat", "-F", "16", "-S", "2048"], "vfat", 2048),
    "FAT32, 512 B": (["mkfs.fat", "-F", "32", "-S", "512"], "vfat", 512),
    "FAT32, 4 KiB": (["mkfs.fat", "-F", "32", "-S", "4096", "-s", "1"], "vfat", 4096),
    "journal, 1 KiB": (["mke2fs", "-q", "-F", "-b", "1024", "-O", "journal_dev"], "jbd", 1024),
    "journal, 4 KiB": (["mke2fs", "-q", "-F", "-b", "4096", "-O", "journal_dev"], "jbd", 4096),
}
SIZE = 320 * MIB


def made(path: Path, words: list[str]) -> Path:
    """A file system in a file that held something else before."""
    random_file(path, 4 * MIB)
    os.truncate(path, SIZE)
    tool(*words, path)
    return path


def as_blkid_tells(path: Path) -> tuple[str, int] | None:
    said = tool("sh", "-c", f"blkid --probe --output export {path} || true")
    values = dict(line.split("=", 1) for line in said.splitlines())
    return (values["TYPE"], int(values["BLOCK_SIZE"])) if "BLOCK_SIZE" in values else None


def as_we_tell(path: Path) -> tuple[str, int] | None:
    with open_for_reading(path) as disk:
        found = block_size(disk)
    return (found.type, found.size) if found is not None else None


@pytest.mark.parametrize("name", [*MAKERS, *OTHERS])
def test_what_tools_make(name: str, tmp_path: Path) -> None:
    words, kind, size = (MAKERS | OTHERS)[name]
    path = made(tmp_path / "device", words)
    assert as_we_tell(path) == (kind, size)
    assert as_blkid_tells(path) in ((kind, size), None if kind == "jbd" else ())


@pytest.mark.parametrize("page", [4096, 8192, 65536])
def test_swap(page: int, tmp_path: Path) -> None:
    path = made(tmp_path / "device", ["mkswap", "-p", str(page)])
    assert as_we_tell(path) == ("swap", page)
    assert tool("blkid", "--probe", "--output", "value", "--match-tag", "TYPE", path).strip() == "swap"


def test_an_iso(tmp_path: Path) -> None:
    tree, path = tmp_path / "tree", tmp_path / "iso"
    tree.mkdir()
    (tree / "file").write_text("text")
    tool("xorriso", "-as", "mkisofs", "-quiet", "-o", path, tree)
    assert as_we_tell(path) == as_blkid_tells(path) == ("iso9660", 2048)


def ntfs(sector: int) -> bytes:
    """What blkid wants to see of an NTFS: the boot sector, and records 0 and 3 of the MFT."""
    boot = (
        b"\xeb\x52\x90NTFS    " + struct.pack("<HB", sector, 4096 // sector) + bytes(7) + b"\xf8" + bytes(18)
    )
    boot += struct.pack("<QQQBxxxBxxxQ", 4 * MIB // sector, 4, 8, 0xF6, 1, 0x0123456789ABCDEF)
    record = (b"FILE" + bytes(16) + struct.pack("<HHII", 56, 1, 64, 1024) + bytes(24)).ljust(56, b"\0")
    record = (record + b"\xff\xff\xff\xff").ljust(1024, b"\0")
    return (boot.ljust(510, b"\0") + b"\x55\xaa").ljust(4 * 4096, b"\0") + record * 16 + bytes(4 * MIB)


def exfat(shift: int) -> bytes:
    """What blkid wants to see of an exFAT: a boot sector and the checksum of the boot region."""
    size = 1 << shift
    boot = b"\xeb\x76\x90EXFAT   ".ljust(64, b"\0")
    boot += struct.pack(
        "<QQIIIIIIHHBBBBB", 0, 4 * MIB >> shift, 24, 8, 32, 100, 2, 77, 256, 0, shift, 0, 1, 128, 0
    )
    region = (boot.ljust(510, b"\0") + b"\x55\xaa").ljust(11 * size, b"\0")
    total = 0
    for at, byte in enumerate(region):
        if at not in (106, 107, 112):
            total = ((total & 1) << 31) + (total >> 1) + byte & 0xFFFFFFFF
    return region + struct.pack("<I", total) * (size // 4) + bytes(4 * MIB)


# There may be no tools that make these, so the judge is shown superblocks made by hand.
BY_HAND: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "NTFS, 512 B": (lambda: ntfs(512), "ntfs", 512),
    "NTFS, 4 KiB": (lambda: ntfs(4096), "ntfs", 4096),
    "exFAT, 512 B": (lambda: exfat(9), "exfat", 512),
    "exFAT, 4 KiB": (lambda: exfat(12), "exfat", 4096),
    "F2FS": (lambda: SAMPLES["f2fs"][0], "f2fs", 4096),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_what_no_tool_here_makes(name: str, tmp_path: Path) -> None:
    content, kind, size = BY_HAND[name]
    path = tmp_path / "device"
    path.write_bytes(content())
    assert as_we_tell(path) == as_blkid_tells(path) == (kind, size)


@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize("name", MAKERS)
def test_the_kernel_mounts_what_is_said_to_be_usable(
    name: str, sector_size: int, tmp_path: Path, make_loop: MakeLoop
) -> None:
    words, kind, size = MAKERS[name]
    if kind not in Path("/proc/filesystems").read_text():
        pytest.skip(f"this kernel has no {kind}")
    if size > os.sysconf("SC_PAGE_SIZE"):
        pytest.skip("larger than a page, which is another reason not to be mounted")
    device = make_loop(made(tmp_path / "device", words), sector_size)
    with open_for_reading(device) as disk:
        reason = unusable_on(disk, sector_size)
    if reason is None:
        with mounted(device, tmp_path / "mounted") as place:
            assert place.is_mount()
        return
    with pytest.raises(subprocess.CalledProcessError), mounted(device, tmp_path / "mounted"):
        pass
    assert (size, sector_size) in ((512, 4096), (1024, 4096), (2048, 4096))


@pytest.mark.parametrize(("name", "made_for"), [("FAT32, 512 B", 512), ("FAT32, 4 KiB", 4096)])
def test_a_fat_for_another_disk(name: str, made_for: int, tmp_path: Path, make_loop: MakeLoop) -> None:
    path = made(tmp_path / "device", OTHERS[name][0])
    for sector_size in (512, 4096):
        copy = Path(shutil.copy(path, tmp_path / f"copy-{sector_size}"))
        with open_for_reading(make_loop(copy, sector_size)) as disk:
            other = fat_of_other_size(disk, disk.sector_size)
            assert other == (None if made_for == sector_size else made_for)
            assert unusable_on(disk, disk.sector_size) is None
