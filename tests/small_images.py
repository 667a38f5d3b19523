"""Small images for tests, made with other people's tools: sgdisk, sfdisk, mkfs.vfat, mtools, qemu-img."""

import os
import random
import subprocess
from pathlib import Path

MIB = 1 << 20

BIOS_BOOT, ESP, LINUX = "ef02", "ef00", "8300"


def tool(*argv: str | Path, stdin: bytes | None = None) -> str:
    """Run a tool and give what it printed."""
    done = subprocess.run([str(word) for word in argv], input=stdin, capture_output=True, check=True)
    return done.stdout.decode(errors="replace")


def random_file(path: Path, size: int) -> Path:
    """Make a file full of random bytes."""
    with path.open("wb") as stream:
        for _ in range(size // MIB):
            stream.write(os.urandom(MIB))
        stream.write(os.urandom(size % MIB))
    return path


def sparse_pattern(size: int, seed: int) -> bytes:
    """Give bytes of which about half are zero, in runs of several sizes."""
    chance = random.Random(seed)
    pieces: list[bytes] = []
    length = 0
    while length < size:
        run = min(size - length, chance.choice((512, 4096, 65536, 1 << 20)))
        pieces.append(bytes(run) if chance.random() < 0.5 else chance.randbytes(run))
        length += run
    return b"".join(pieces)


def put(path: Path, offset: int, data: bytes) -> None:
    """Write ``data`` at ``offset``."""
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)


def program(content: bytes = b"", *, machine: int = 0x8664) -> bytes:
    """What the headers of an EFI program tell, and ``content``."""
    dos = b"MZ".ljust(0x3C, b"\0") + (0x80).to_bytes(4, "little")
    return dos.ljust(0x80, b"\0") + b"PE\0\0" + machine.to_bytes(2, "little") + bytes(18) + content


def esp_with_loader(path: Path, size: int, *, sector_size: int = 512, loader: str = "BOOTX64.EFI") -> bytes:
    """Make an EFI system partition with a loader and give its bytes."""
    path.unlink(missing_ok=True)
    path.touch()
    os.truncate(path, size)
    tool("mkfs.vfat", "-S", str(sector_size), "-n", "ESP", path)
    tool("mmd", "-i", path, "::/EFI", "::/EFI/BOOT")
    source = path.with_suffix(".efi")
    source.write_bytes(program(os.urandom(30000)))
    tool("mcopy", "-i", path, source, f"::/EFI/BOOT/{loader}")
    return path.read_bytes()


def gpt_image(
    path: Path, *, size: int = 96 * MIB, boot_code: bool = True, esp: bool = True, seed: int = 1
) -> Path:
    """Make a raw image: BIOS boot partition, ESP with a loader, and a root partition with data and holes."""
    path.touch()
    os.truncate(path, size)
    parts = ["-n", f"14:2048:+{MIB // 512}", "-t", f"14:{BIOS_BOOT}"]
    if esp:
        parts += ["-n", "15:4096:+32M", "-t", f"15:{ESP}"]
    tool("sgdisk", *parts, "-n", "1:73728:0", "-t", f"1:{LINUX}", "-c", "1:root", path)
    if boot_code:
        put(path, 0, random.Random(seed).randbytes(440))
        put(path, MIB, random.Random(seed + 1).randbytes(MIB))
    if esp:
        put(path, 2 * MIB, esp_with_loader(path.with_suffix(".esp"), 32 * MIB))
    put(path, 36 * MIB, sparse_pattern(size - 37 * MIB, seed))
    return path


def mbr_image(path: Path, *, size: int = 64 * MIB, partitions: int = 1, seed: int = 1) -> Path:
    """Make a raw image with an MBR, boot code, and as many primary partitions as asked for."""
    path.touch()
    os.truncate(path, size)
    each = (size - 2 * MIB) // 512 // partitions // 2048 * 2048
    lines = ["label: dos", "label-id: 0x12345678"]
    lines += [f"start={2048 + number * each}, size={each}, type=83" for number in range(partitions)]
    tool("sfdisk", "-q", path, stdin="\n".join(lines).encode())
    put(path, 0, random.Random(seed).randbytes(440))
    put(path, 2 * MIB, sparse_pattern(size - 4 * MIB, seed))
    return path


def qcow2(raw: Path, *options: str) -> Path:
    """Convert a raw image to a qcow2 one beside it."""
    path = raw.with_suffix(".qcow2")
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, raw, path)
    return path
