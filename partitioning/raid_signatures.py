"""Signatures of devices that belong to something larger: md, LVM, ZFS, bcache.

Some of these keep their superblock at the end of the device, so that its beginning looks like whatever
lies on the array.
"""

import struct

from partitioning.byte_access import ByteReader
from partitioning.signature_fields import FileSystem, read_end_or_nothing, read_or_nothing, text, uuid_text

_MD_MAGIC = 0xA92B4EFC
_BCACHE_MAGIC = bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")

_ZFS_LABEL = 256 << 10
_ZFS_NVLIST = 16 << 10
_ZFS_READ = 4 << 10
_XDR_UINT64 = 8
_XDR_STRING = 9


def md(reader: ByteReader) -> FileSystem | None:
    """Linux software RAID: metadata 1.1, 1.2, 1.0 and 0.90 (kernel: Documentation/driver-api/md, md_p.h)."""
    at_end = (reader.size - (8 << 10)) & ~0xFFF
    for read, offset in (
        (read_or_nothing, 0),
        (read_or_nothing, 4 << 10),
        (read_end_or_nothing, at_end),
    ):
        block = read(reader, offset, 64)
        if block[:8] == _MD_MAGIC.to_bytes(4, "little") + b"\1\0\0\0":
            return FileSystem(
                type="linux_raid_member", label=text(block[32:64]), uuid=uuid_text(block[16:32])
            )
    return _md_090(reader)


def _md_090(reader: ByteReader) -> FileSystem | None:
    block = read_end_or_nothing(reader, (reader.size & ~0xFFFF) - (64 << 10), 64)
    words = struct.unpack(">16I", block)
    if block[:4] == _MD_MAGIC.to_bytes(4, "little"):
        words = struct.unpack("<16I", block)
    if words[0] != _MD_MAGIC:
        return None
    # The superblock is in the byte order of the machine that made it; its UUID is four numbers.
    return FileSystem(type="linux_raid_member", uuid=uuid_text(struct.pack(">4I", words[5], *words[13:])))


def lvm(reader: ByteReader) -> FileSystem | None:
    """LVM2 physical volume: a label in one of the first four 512-byte sectors (lvm2: lib/label/label.h)."""
    head = read_or_nothing(reader, 0, 2048)
    for start in range(0, 2048, 512):
        label = head[start : start + 512]
        if label[:8] == b"LABELONE" and label[24:32] == b"LVM2 001":
            at = int.from_bytes(label[20:24], "little")
            return FileSystem(type="LVM2_member", uuid=_lvm_uuid(text(label[at : at + 32])))
    return None


def _lvm_uuid(raw: str) -> str:
    # LVM writes its 32 letters in groups of 6-4-4-4-4-4-6.
    ends = (6, 10, 14, 18, 22, 26, 32)
    return "-".join(raw[start:end] for start, end in zip((0, *ends[:-1]), ends, strict=True))


def bcache(reader: ByteReader) -> FileSystem | None:
    """Bcache backing or cache device: superblock at 4 KiB (kernel: bcache_ondisk.h)."""
    block = read_or_nothing(reader, 4 << 10, 128)
    if block[24:40] != _BCACHE_MAGIC:
        return None
    return FileSystem(type="bcache", label=text(block[72:104]), uuid=uuid_text(block[40:56]))


def zfs(reader: ByteReader) -> FileSystem | None:
    """ZFS: two labels of 256 KiB at each end, with an XDR list of pairs (ZFS On-Disk Specification, 1.2)."""
    last = reader.size & ~(_ZFS_LABEL - 1)
    for read, label in (
        (read_or_nothing, 0),
        (read_or_nothing, _ZFS_LABEL),
        (read_end_or_nothing, last - 2 * _ZFS_LABEL),
        (read_end_or_nothing, last - _ZFS_LABEL),
    ):
        block = read(reader, label + _ZFS_NVLIST, _ZFS_READ)
        guid = _xdr_value(block, b"pool_guid", _XDR_UINT64)
        if guid:
            name = _xdr_value(block, b"name", _XDR_STRING)
            return FileSystem(type="zfs_member", label=_xdr_text(name), uuid=str(int.from_bytes(guid[:8])))
    return None


def _xdr_value(block: bytes, name: bytes, kind: int) -> bytes:
    # A pair is its two sizes, the name (length, letters, padding), the type, the number of values, the value.
    padded = len(name).to_bytes(4) + name + bytes(-len(name) % 4)
    key = padded + kind.to_bytes(4) + (1).to_bytes(4)
    at = block.find(key)
    return block[at + len(key) :] if at >= 0 else b""


def _xdr_text(value: bytes) -> str:
    length = int.from_bytes(value[:4])
    return text(value[4 : 4 + min(length, 256)])
