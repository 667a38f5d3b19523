"""Reading FAT12 and FAT16 back, and the label of any FAT. Shares nothing with the code that writes it.

Source: Microsoft Extensible Firmware Initiative FAT32 File System Specification 1.03 (2000). What is read
may be damaged or hostile: every length is checked and every chain of clusters has an end.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from configdrive.errors import ConfigDriveError
from partitioning.byte_access import ByteReader

_BOOT_SECTOR = 512
_LABEL_SEARCH = 16 << 10
_DEEPEST = 8


class _Malformed(Exception):
    """What is there is not a FAT file system that can be read."""


@dataclass(frozen=True, slots=True)
class _Volume:
    """Places and sizes in bytes. ``root_size`` is 0 on FAT32, whose root stands in a cluster."""

    cluster_size: int
    clusters: int
    fat_start: int
    root_start: int
    root_size: int
    data_start: int
    bits: int
    boot_label: bytes


@dataclass(frozen=True, slots=True)
class _Found:
    name: str
    is_directory: bool
    cluster: int
    length: int


def read_fat(image: bytes) -> dict[str, bytes]:
    """Give the files of a FAT12 or FAT16 image by path, under their long names.

    Raises ConfigDriveError when it cannot be read.
    """
    try:
        volume = _parse(image[:_BOOT_SECTOR])
        return dict(_walk(image, volume, _root(image, volume), "", _DEEPEST))
    except (_Malformed, struct.error, IndexError, UnicodeDecodeError) as error:
        why = str(error) if isinstance(error, _Malformed) else "a record is cut off or garbled"
        raise ConfigDriveError(
            "The ConfigDrive cannot be read back.",
            detail=f"It cannot be parsed as FAT: {why}.",
            hint="Check the disk (dmesg, smartctl) and start the deployment again.",
        ) from None


def read_label(reader: ByteReader) -> str | None:
    """Give the label of the FAT file system in ``reader``, None when there is none to be seen.

    The root directory's label counts before the boot sector's, as for blkid. At most 16.5 KiB are read.
    """
    try:
        volume = _parse(_peek(reader, _BOOT_SECTOR, 0))
    except (_Malformed, struct.error):
        return None
    length = volume.root_size or volume.cluster_size
    root = _peek(reader, min(length, _LABEL_SEARCH), volume.root_start)
    label = next((entry[:11] for entry in _records(root) if entry[11] & 0x3F == 0x08), volume.boot_label)
    return label.decode("ascii", errors="replace").rstrip(" \0")


def _peek(reader: ByteReader, length: int, offset: int) -> bytes:
    inside = max(0, min(length, reader.size - offset))
    return reader.pread(inside, offset) if inside else b""


def _parse(sector: bytes) -> _Volume:
    size, per_cluster, reserved, fats, entries, small, media, fat16 = struct.unpack_from(
        "<HBHBHHBH", sector, 11
    )
    (large, fat32) = struct.unpack_from("<II", sector, 32)
    sane = size in (512, 1024, 2048, 4096) and per_cluster and not per_cluster & (per_cluster - 1)
    if (
        sector[510:512] != b"\x55\xaa"
        or not (sane and reserved and fats)
        or not (media == 0xF0 or media >= 0xF8)
    ):
        raise _Malformed("it has no such boot sector")
    root = reserved + fats * (fat16 or fat32)
    data = root + -(-entries * 32 // size)
    clusters = ((small or large) - data) // per_cluster
    return _Volume(
        cluster_size=per_cluster * size,
        clusters=clusters,
        fat_start=reserved * size,
        root_start=root * size if fat16 else _fat32_root(sector, data, per_cluster) * size,
        root_size=entries * 32 if fat16 else 0,
        data_start=data * size,
        bits=(12 if clusters < 4085 else 16) if fat16 else 32,
        boot_label=sector[43:54] if fat16 else sector[71:82],
    )


def _fat32_root(sector: bytes, data: int, per_cluster: int) -> int:
    cluster: int = struct.unpack_from("<I", sector, 44)[0]
    return data + (cluster - 2) * per_cluster if cluster >= 2 else data


def _root(image: bytes, volume: _Volume) -> bytes:
    if not volume.root_size:
        raise _Malformed("it is FAT32, which no ConfigDrive has")
    return image[volume.root_start : volume.root_start + volume.root_size]


def _records(directory: bytes) -> Iterator[bytes]:
    for start in range(0, len(directory) - 31, 32):
        record = directory[start : start + 32]
        if record[0] == 0:
            return
        if record[0] != 0xE5:
            yield record


def _walk(
    image: bytes, volume: _Volume, directory: bytes, above: str, depth: int
) -> Iterator[tuple[str, bytes]]:
    if not depth:
        raise _Malformed("its directories are nested too deeply")
    for found in _entries(directory):
        content = b"".join(_clusters(image, volume, found.cluster))
        path = f"{above}{found.name}"
        if found.is_directory:
            yield from _walk(image, volume, content, f"{path}/", depth - 1)
            continue
        if len(content) < found.length:
            raise _Malformed("a file is longer than its clusters")
        yield path, content[: found.length]


def _entries(directory: bytes) -> Iterator[_Found]:
    pieces: dict[int, bytes] = {}
    for record in _records(directory):
        attribute = record[11]
        if attribute & 0x3F == 0x0F:
            pieces[record[0] & 0x1F] = record[1:11] + record[14:26] + record[28:32]
            continue
        name, pieces = _long_name(pieces) or _short_name(record), {}
        if attribute & 0x08 or name in (".", ".."):
            continue
        cluster, length = struct.unpack_from("<HI", record, 26)
        yield _Found(name, bool(attribute & 0x10), cluster, length)


def _long_name(pieces: dict[int, bytes]) -> str:
    encoded = b"".join(pieces[number] for number in sorted(pieces))
    return encoded.decode("utf-16-le").partition("\0")[0]


def _short_name(record: bytes) -> str:
    stem, suffix = record[:8].decode("ascii").rstrip(), record[8:11].decode("ascii").rstrip()
    return f"{stem}.{suffix}" if suffix else stem


def _clusters(image: bytes, volume: _Volume, cluster: int) -> Iterator[bytes]:
    if not cluster:
        return
    for _ in range(volume.clusters):
        if not 2 <= cluster < volume.clusters + 2:
            raise _Malformed("a chain of clusters leads nowhere")
        start = volume.data_start + (cluster - 2) * volume.cluster_size
        yield image[start : start + volume.cluster_size]
        cluster = _next(image, volume, cluster)
        if cluster >= (1 << volume.bits) - 8:
            return
    raise _Malformed("a chain of clusters has no end")


def _next(image: bytes, volume: _Volume, cluster: int) -> int:
    value: int = struct.unpack_from("<H", image, volume.fat_start + cluster * volume.bits // 8)[0]
    if volume.bits == 16:
        return value
    return value >> 4 if cluster & 1 else value & 0xFFF
