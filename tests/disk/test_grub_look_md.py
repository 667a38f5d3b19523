"""Menus on md arrays: GRUB's drivers find them; nothing is assembled."""

import os
import struct
from pathlib import Path
from uuid import UUID

import pytest

from tests.disk.found_menu import found_in
from tests.small_images import MIB, gpt_image, put, tool

ROOT_START, IMAGE_SIZE = 36 * MIB, 128 * MIB
DATA_SIZE = 64 * MIB
KERNEL = b"the kernel" * 1000
MENU = "menuentry 'Linux' {\n  linux /boot/vmlinuz-1 root=/dev/md0\n}\n"
RAID1, MAGIC = 1, 0xA92B4EFC


def superblock(*, at: int, data_at: int) -> bytes:
    """Metadata of version 1 (md_p.h) of a RAID 1 with one member; offsets are bytes within the member."""
    sectors = DATA_SIZE // 512
    block = bytearray(258)
    struct.pack_into("<4I", block, 0, MAGIC, 1, 0, 0)
    block[16:32] = UUID(int=0x1234).bytes
    block[32:38] = b"host:0"
    struct.pack_into("<QIIQII", block, 64, 0, RAID1, 0, sectors, 0, 1)
    struct.pack_into("<QQQ", block, 128, data_at // 512, sectors, at // 512)
    # The only member has role 0; there is room for one.
    struct.pack_into("<I", block, 220, 1)
    return bytes(block)


def file_system(folder: Path) -> bytes:
    tree = folder / "tree"
    (tree / "boot/grub").mkdir(parents=True)
    (tree / "boot/grub/grub.cfg").write_text(MENU)
    (tree / "boot/vmlinuz-1").write_bytes(KERNEL)
    made = folder / "root"
    made.touch()
    os.truncate(made, DATA_SIZE)
    tool("mkfs.ext4", "-q", "-F", "-d", tree, made)
    return made.read_bytes()


@pytest.mark.parametrize(
    ("superblock_at", "data_at"), [(4096, MIB), (0, MIB)], ids=["version 1.2", "version 1.1"]
)
def test_the_menu_and_its_kernel_are_found(tmp_path: Path, superblock_at: int, data_at: int) -> None:
    raw = gpt_image(tmp_path / "image.raw", size=IMAGE_SIZE, esp=False)
    put(raw, ROOT_START, bytes(MIB))
    put(raw, ROOT_START + superblock_at, superblock(at=superblock_at, data_at=data_at))
    put(raw, ROOT_START + data_at, file_system(tmp_path))
    found = found_in(raw)
    assert found.menu.file_system.device.startswith("md/")
    assert found.menu.file_system.kind == "ext*"
    assert found.menu.directory == "/boot/grub"
    assert found.kernel == ("/boot/vmlinuz-1", KERNEL)
