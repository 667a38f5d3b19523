"""An image of 64 MiB that says one line on the serial console when it boots, and does nothing else.

For tests about the disk and not about the system on it: it is written in seconds, and whether the disk boots
shows two seconds after power-on. Legacy only.
"""

from __future__ import annotations

from pathlib import Path

from .cache import Cache, content_key
from .command import run
from .image_file import ImageFile, described, note_sum

_SIZE = 64 << 20
_NAME = "tiny"
GREETING = "tiny image booted"
# The table takes the end of the first sector from 0x1b8 on.
_CODE_LIMIT = 0x1B8
_TABLE = """\
label: gpt
label-id: 1F2B7B8E-52B5-4C6A-9C58-0D9A6B1E7C01
unit: sectors
disk1 : start=2048, size=126976, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
"""


def tiny_image(*, cache: Cache | None = None) -> ImageFile:
    """Build it where it is not in the cache, and return the qcow2."""
    entry = (cache or Cache()).get_or_build(_NAME, content_key(Path(__file__)), _build)
    return described(entry, _NAME, "qcow2", _SIZE)


def _build(target: Path) -> None:
    disk = target / "disk"
    with disk.open("wb") as image:
        image.truncate(_SIZE)
    run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", disk, stdin=_TABLE.encode())
    run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "tiny", "-E", f"offset={2048 * 512}", disk, "62M")
    code = _boot_code()
    with disk.open("r+b") as image:
        image.write(code)
    qcow2 = target / f"{_NAME}.qcow2"
    run("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", disk, qcow2)
    disk.unlink()
    note_sum(qcow2)


def _boot_code() -> bytes:
    """Real-mode code that writes the greeting to the first serial port, byte by byte, and halts."""
    program = bytes.fromhex(
        "31 c0"  # xor ax, ax
        "8e d8"  # mov ds, ax
        "be 16 7c"  # mov si, 0x7c16: the text, right behind this program
        "ba f8 03"  # mov dx, 0x3f8: the port
        "fc"  # cld
        "ac"  # next: lodsb
        "84 c0"  # test al, al
        "74 03"  # jz end
        "ee"  # out dx, al
        "eb f8"  # jmp next
        "f4"  # end: hlt
        "eb fd"  # jmp end
    )
    code = program + f"\r\n{GREETING}\r\n".encode() + b"\0"
    assert len(program) == 0x16 and len(code) <= _CODE_LIMIT
    return code
