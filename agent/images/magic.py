"""What a file is, by its first bytes. Used to tell people what they sent; never to choose a driver."""

from dataclasses import dataclass

from agent.images.errors import CONVERT

_UNPACK = "Unpack it, publish the unpacked file, and give that file's sum."
_UNPACK_OR_RAW = f"If a raw image is in it, set type to raw: that is unpacked on the way. Else: {_UNPACK}"
_OPEN_URL = "Open the URL: what it delivers may be an error or login page, or a list of mirrors."
_DECRYPT = "Publish the image of a disk, without encryption; check it with a sum instead."


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file: its name with the article, and what to do with one that was meant as an image."""

    name: str
    hint: str


_AT_START = (
    (b"QFI\xfb", FileKind("a qcow2 image", "Set type to qcow2.")),
    (b"KDMV", FileKind("a VMDK image", CONVERT)),
    (b"COWD", FileKind("a VMDK image", CONVERT)),
    (b"# Disk DescriptorFile", FileKind("a VMDK descriptor", CONVERT)),
    (b"vhdxfile", FileKind("a VHDX image", CONVERT)),
    (b"conectix", FileKind("a VHD image", CONVERT)),
    (b"LUKS\xba\xbe", FileKind("an encrypted (LUKS) volume", _DECRYPT)),
    (b"\x1f\x8b", FileKind("a gzip file", _UNPACK_OR_RAW)),
    (b"\xfd7zXZ\x00", FileKind("an xz file", _UNPACK_OR_RAW)),
    (b"\x28\xb5\x2f\xfd", FileKind("a zstd file", _UNPACK_OR_RAW)),
    (b"BZh", FileKind("a bzip2 file", _UNPACK_OR_RAW)),
    (b"PK\x03\x04", FileKind("a zip archive", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileKind("a 7z archive", _UNPACK)),
    (b"<?xml", FileKind("an XML document", _OPEN_URL)),
)
_ELSEWHERE = (
    (64, b"\x7f\x10\xda\xbe", FileKind("a VDI image", CONVERT)),
    (
        257,
        b"ustar",
        FileKind("a tar archive (an OVA is one)", "Set type to ova if it is one; unpack it if not."),
    ),
)
_PRINTABLE = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n\f")


def recognise(first: bytes) -> FileKind | None:
    """Tell what begins with ``first``; None where it is none of the known kinds."""
    for magic, kind in _AT_START:
        if first.startswith(magic):
            return kind
    for offset, magic, kind in _ELSEWHERE:
        if first[offset : offset + len(magic)] == magic:
            return kind
    return _text_kind(first[:512])


def is_qcow2(first: bytes) -> bool:
    """Tell whether the bytes begin like a qcow2 image."""
    return first.startswith(b"QFI\xfb")


def is_tar(first: bytes) -> bool:
    """Tell whether the bytes begin like a tar archive (POSIX ustar, or GNU's)."""
    return first[257:262] == b"ustar"


def has_boot_signature(first: bytes) -> bool:
    """Tell whether a first sector ends in 55 AA, as every MBR and protective MBR does."""
    return first[510:512] == b"\x55\xaa"


def _text_kind(start: bytes) -> FileKind | None:
    if not start:
        return FileKind("an empty file", "Publish the image again; this file holds nothing.")
    head = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head")):
        return FileKind("an HTML page", _OPEN_URL)
    # UTF-8 counts as text too: bytes from 0x80 on are let pass where all else is printable.
    if all(byte in _PRINTABLE or byte >= 0x80 for byte in start):
        return FileKind("a text file", _OPEN_URL)
    return None
