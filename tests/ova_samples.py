"""VMDK files as VMware and VirtualBox write them, and archives around them."""

import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from tests.small_images import tool

SECTOR = 512
GRAIN = 128 * SECTOR
ENTRIES = 512
HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
AT_END = (1 << 64) - 1
DESCRIPTOR = (
    b'# Disk DescriptorFile\nversion=1\nCID=7b0a4f1c\nparentCID=ffffffff\ncreateType="streamOptimized"\n'
)


def whole(data: bytes) -> bytes:
    """Fill the last sector up."""
    return data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")


def header(capacity: int, *, directory: int, descriptor: bytes = DESCRIPTOR) -> bytes:
    """A header, or a footer."""
    fields = (b"KDMV", 3, 1 | 1 << 16 | 1 << 17, capacity // SECTOR, GRAIN // SECTOR)
    length = len(whole(descriptor)) // SECTOR
    return whole(HEADER.pack(*fields, 1, length, ENTRIES, 0, directory, 128, 0, b"\n \r\n", 1))


def stream_optimised(raw: bytes, *, descriptor: bytes = DESCRIPTOR) -> bytes:
    """A disk in a file that is written in one go: its tables behind the grains, and a footer at its end."""
    out = io.BytesIO()
    out.write((header(len(raw), directory=AT_END, descriptor=descriptor) + descriptor).ljust(GRAIN, b"\0"))
    tables: list[int] = []
    span = GRAIN * ENTRIES
    for start in range(0, len(raw), span):
        entries = [_grain(out, raw, at) for at in range(start, min(start + span, len(raw)), GRAIN)]
        if any(entries):
            out.write(marker(4, 1))
            tables.append(out.tell() // SECTOR)
            out.write(struct.pack(f"<{ENTRIES}I", *entries, *[0] * (ENTRIES - len(entries))))
        else:
            tables.append(0)
    content = whole(struct.pack(f"<{len(tables)}I", *tables))
    out.write(marker(len(content) // SECTOR, 2))
    directory = out.tell() // SECTOR
    out.write(content + marker(1, 3) + header(len(raw), directory=directory) + marker(0, 0))
    return out.getvalue()


def marker(sectors: int, kind: int) -> bytes:
    """A marker that is not a grain's."""
    return whole(struct.pack("<QII", sectors, 0, kind))


def _grain(out: io.BytesIO, raw: bytes, at: int) -> int:
    data = raw[at : at + GRAIN]
    if not any(data):
        return 0
    place, packed = out.tell() // SECTOR, zlib.compress(data.ljust(GRAIN, b"\0"))
    out.write(whole(struct.pack("<QI", at // SECTOR, len(packed)) + packed))
    return place


def vmdk(raw: Path, kind: str) -> Path:
    """Let qemu-img make a VMDK file."""
    path = raw.with_suffix(".vmdk")
    tool("qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={kind}", raw, path)
    return path


def ovf(disk: str = "box-disk1.vmdk", *, file: str = "", disks: int = 1) -> bytes:
    """A description; ``file`` is more about the file of the disk."""
    one = '<Disk ovf:capacity="1" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://x/#stream"/>'
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References>
    <File ovf:href="{disk}" ovf:id="file1" {file}/>
    <File ovf:href="box.nvram" ovf:id="file2"/>
  </References>
  <DiskSection><Info>Disks</Info>{one * disks}</DiskSection>
</Envelope>
""".encode()


def manifest(files: Mapping[str, bytes], kind: str = "sha256") -> bytes:
    """The sums of the files."""
    lines = (f"{kind.upper()}({name})= {hashlib.new(kind, data).hexdigest()}" for name, data in files.items())
    return "\n".join([*lines, ""]).encode()


def archive(files: Mapping[str, bytes]) -> bytes:
    """A tar of the files in this order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def ova(disk: bytes, *, kind: str = "sha256") -> bytes:
    """A machine with one disk, as it is exported."""
    files = {"box.ovf": ovf(), "box-disk1.vmdk": disk}
    return archive({"box.ovf": files["box.ovf"], "box.mf": manifest(files, kind)} | files)
