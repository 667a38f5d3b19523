"""Small sound files to begin with: qcow2 files by qemu-img, and VMDK files with grains as small as can be."""

import gzip
import io
import random
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.ova_samples import AT_END, DESCRIPTOR, HEADER, archive, manifest, marker, ova, ovf, whole
from tests.packed_samples import TOOLS, packed, packed_in_parts
from tests.small_images import qcow2, tool

_SECTOR = 512
_GRAIN = 4096
_ENTRIES = 8
_OVERHEAD = 8
"""Sectors before the first grain."""
_SUBCLUSTERS = 16384
_QCOW2 = {
    "plain": ("-o", "cluster_size=512"),
    "plain-4k": ("-o", "cluster_size=4k"),
    "v2": ("-o", "cluster_size=512,compat=0.10"),
    "zlib": ("-c", "-o", "cluster_size=512"),
    "zlib-4k": ("-c", "-o", "cluster_size=4k"),
    "zstd": ("-c", "-o", "cluster_size=2k,compression_type=zstd"),
}


def content(size: int) -> bytes:
    """Bytes of a disk: some that pack badly, some that pack well, and zeroes between them."""
    chance = random.Random(1)
    parts = [chance.randbytes(1536), b"packs well " * 100, bytes(6000), chance.randbytes(600), b"x" * 5000]
    return b"".join(parts).ljust(size, b"\0")[:size]


def qcow2_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Give names and contents; ``folder`` is for what the tools need."""
    raw = folder / "image.raw"
    raw.write_bytes(content(12 << 10) + bytes(8 << 10) + content(3 << 10) + bytes(40 << 10))
    for name, options in _QCOW2.items():
        yield name, qcow2(raw, *options).read_bytes()
    yield "snapshot", _with_snapshot(qcow2(raw, "-o", "cluster_size=512"))
    yield "metadata", _preallocated(folder / "metadata.qcow2", "metadata")
    yield "falloc", _preallocated(folder / "falloc.qcow2", "falloc")
    yield "subclusters", subclusters(compressed=False)
    yield "subclusters-zlib", subclusters(compressed=True)


def _with_snapshot(path: Path) -> bytes:
    tool("qemu-img", "snapshot", "-c", "one", path)
    commands = ("write -P 7 1024 2048", "write -z 8192 4096", "discard 16384 1024", "write -c -P 9 51200 512")
    for command in commands:
        tool("qemu-io", "-f", "qcow2", "-c", command, path)
    return path.read_bytes()


def _preallocated(path: Path, kind: str) -> bytes:
    options = f"cluster_size=512,preallocation={kind}"
    tool("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, path, "16k")
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 5 3072 4096", path)
    return path.read_bytes()


def subclusters(*, compressed: bool) -> bytes:
    """A file with extended L2 entries, and no reference counts: clusters of 16 KiB are large enough."""
    size = 5 * _SUBCLUSTERS + _SECTOR
    fields = (b"QFI\xfb", 3, 0, 0, 14, size, 0, 1, _SECTOR, 0, 0, 0, 0)
    head = struct.pack(">4sIQIIQIIQQIIQ", *fields) + struct.pack(">QQQII", 16, 0, 0, 4, 104)
    data = 2 * _SUBCLUSTERS
    entries = [data, 0b1 << 40 | 0b1011, 0, 0xF0 << 32, 0, 0, 0, 0, 0, 0]
    stored = content(2048)
    if compressed:
        packer = zlib.compressobj(9, zlib.DEFLATED, -12)
        packed = packer.compress(content(_SUBCLUSTERS)) + packer.flush()
        entries[4] = 1 << 62 | (-(-len(packed) // _SECTOR) - 1) << 56 | data + 2048
        stored += packed
    first = head.ljust(_SECTOR, b"\0") + struct.pack(">Q", _SUBCLUSTERS)
    return (
        first.ljust(_SUBCLUSTERS, b"\0")
        + struct.pack(f">{len(entries)}Q", *entries).ljust(_SUBCLUSTERS, b"\0")
        + stored
    )


def vmdk_files() -> Iterator[tuple[str, bytes]]:
    """Give names and contents."""
    raw = content(9 << 10) + bytes(59 << 10) + content(9 << 10)
    yield "stream", stream_optimised(raw, with_footer=True)
    yield "stream-no-footer", stream_optimised(raw, with_footer=False)
    yield "stream-in-front", stream_in_front(raw)
    yield "sparse", sparse(raw)


def _head(size: int, *, directory: int, compressed: bool) -> bytes:
    # Bit 2: an entry of 1 stands for a grain of zeroes.
    flags = 0b101 | (1 << 16 | 1 << 17 if compressed else 0)
    fields = (b"KDMV", 3 if compressed else 1, flags, size // _SECTOR, _GRAIN // _SECTOR, 1, 1, _ENTRIES)
    return whole(HEADER.pack(*fields, 0, directory, _OVERHEAD, 0, b"\n \r\n", int(compressed)))


class _Tables:
    """Tables that grow while grains are written."""

    def __init__(self, size: int) -> None:
        self._entries = [0] * (-(-size // (_GRAIN * _ENTRIES)) * _ENTRIES)

    def set(self, guest: int, sector: int) -> None:
        self._entries[guest // _GRAIN] = sector

    def packed(self, at: int, *, marked: bool = False) -> tuple[bytes, int]:
        """Give tables and directory as they stand from ``at`` (bytes) on, and the directory's sector."""
        tables, directory = b"", []
        for index in range(0, len(self._entries), _ENTRIES):
            entries = self._entries[index : index + _ENTRIES]
            if not any(entries):
                directory.append(0)
                continue
            tables += marker(1, 1) if marked else b""
            directory.append((at + len(tables)) // _SECTOR)
            tables += whole(struct.pack(f"<{_ENTRIES}I", *entries))
        tables += marker(1, 2) if marked else b""
        where = (at + len(tables)) // _SECTOR
        return tables + whole(struct.pack(f"<{len(directory)}I", *directory)), where


def stream_optimised(raw: bytes, *, with_footer: bool) -> bytes:
    """A disk of packed grains, with the tables behind them."""
    tables, out = _Tables(len(raw)), io.BytesIO()
    start = _head(len(raw), directory=AT_END, compressed=True) + DESCRIPTOR
    out.write(start.ljust(_OVERHEAD * _SECTOR, b"\0"))
    out.write(_packed_grains(raw, out.tell(), tables))
    content, directory = tables.packed(out.tell(), marked=True)
    out.write(content)
    head = _head(len(raw), directory=directory, compressed=True)
    if with_footer:
        return out.getvalue() + marker(1, 3) + head + marker(0, 0)
    return head + out.getvalue()[_SECTOR:]


def stream_in_front(raw: bytes) -> bytes:
    """A disk of packed grains behind their tables, as qemu-img writes it."""
    tables = _Tables(len(raw))
    grains = _packed_grains(raw, _OVERHEAD * _SECTOR, tables)
    content, directory = tables.packed(2 * _SECTOR)
    head = _head(len(raw), directory=directory, compressed=True) + whole(DESCRIPTOR)
    return (head + content).ljust(_OVERHEAD * _SECTOR, b"\0") + grains + marker(0, 0)


def _packed_grains(raw: bytes, at: int, tables: _Tables) -> bytes:
    """Give them as they stand from ``at`` (bytes) on."""
    out = io.BytesIO()
    for guest in range(0, len(raw), _GRAIN):
        grain = raw[guest : guest + _GRAIN]
        if any(grain):
            tables.set(guest, (at + out.tell()) // _SECTOR)
            packed = zlib.compress(grain.ljust(_GRAIN, b"\0"))
            out.write(whole(struct.pack("<QI", guest // _SECTOR, len(packed)) + packed))
    return out.getvalue()


def sparse(raw: bytes) -> bytes:
    """A disk of grains as they are; one is said to be of zeroes."""
    tables, start = _Tables(len(raw)), 4096
    grains = b""
    for guest in range(0, len(raw), _GRAIN):
        grain = raw[guest : guest + _GRAIN]
        if any(grain):
            tables.set(guest, (start + len(grains)) // _SECTOR)
            grains += grain.ljust(_GRAIN, b"\0")
    tables.set(_GRAIN * (len(raw) // _GRAIN // 2), 1)
    content, directory = tables.packed(1024)
    head = _head(len(raw), directory=directory, compressed=False) + whole(DESCRIPTOR)
    return (head + content).ljust(start, b"\0") + grains


def ova_files() -> Iterator[tuple[str, bytes]]:
    """Give names and contents."""
    disk = stream_optimised(content(9 << 10), with_footer=True)
    plain = {"box.ovf": ovf(), "box-disk1.vmdk": disk}
    yield "manifest", ova(disk)
    yield "sha1", ova(disk, kind="sha1")
    yield "plain", archive(plain)
    yield "disk-first", archive({"box-disk1.vmdk": disk, "box.ovf": ovf(), "box.mf": manifest(plain)})
    yield "sparse", archive({"box.ovf": ovf(), "box-disk1.vmdk": sparse(content(3 << 10) + bytes(9 << 10))})
    for name, form in (("pax", tarfile.PAX_FORMAT), ("gnu", tarfile.GNU_FORMAT)):
        yield name, _long_names(plain, form)


def packed_files() -> Iterator[tuple[str, bytes]]:
    """Give names and contents; the images have the signature of a boot sector, and no whole last sector."""
    raw = content(11_000) + bytes(70_000) + content(9000) + b"end"
    raw = raw[:510] + b"\x55\xaa" + raw[512:]
    for packing in TOOLS:
        yield packing, packed(raw, packing)
        yield f"{packing}-parts", packed_in_parts(raw, packing, 3)
    yield "gzip-stored", gzip.compress(raw[:3000], 0, mtime=0)
    yield "gzip-named", _named_gzip(raw)
    yield "xz-blocks", packed(raw, "xz", "--block-size=8192", "--check=sha256") + bytes(8)
    yield "xz-x86", packed(raw, "xz", "--x86", "--lzma2=preset=0,dict=4KiB", "--check=none")
    yield "zstd-no-check", packed(raw, "zstd", "--no-check", "-B4096")
    skipped = b"\x50\x2a\x4d\x18" + struct.pack("<I", 5) + b"stuff"
    yield "zstd-skipped", skipped + packed(raw, "zstd") + skipped


def _named_gzip(raw: bytes) -> bytes:
    """All that a header may have (RFC 1952, 2.3): a field of its own, a name, a comment, and a sum."""
    head = b"\x1f\x8b\x08\x1e" + bytes(4) + b"\x00\x03" + b"\x04\x00abcd" + b"name\0" + b"comment\0"
    return head + struct.pack("<H", zlib.crc32(head) & 0xFFFF) + gzip.compress(raw, mtime=0)[10:]


def _long_names(files: dict[str, bytes], form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in {**files, "x" * 120: b"more"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if form == tarfile.PAX_FORMAT:
                info.pax_headers = {"comment": "of a tool", "mtime": "1.5"}
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


SEEDS: dict[str, Callable[[Path], Iterator[tuple[str, bytes]]]] = {
    "qcow2": qcow2_files,
    "vmdk": lambda _: vmdk_files(),
    "ova": lambda _: ova_files(),
    "packed": lambda _: packed_files(),
}
"""Names and contents for each reader; what the tools need goes into a folder."""
