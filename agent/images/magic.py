"""What a file is, by its first bytes. Used to tell people what they sent; never to choose a driver."""

_AT_START = (
    (b"QFI\xfb", "a qcow2 image"),
    (b"KDMV", "a VMDK image"),
    (b"COWD", "a VMDK image"),
    (b"# Disk DescriptorFile", "a VMDK descriptor"),
    (b"vhdxfile", "a VHDX image"),
    (b"conectix", "a VHD image"),
    (b"LUKS\xba\xbe", "an encrypted (LUKS) volume"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"BZh", "a bzip2 file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"<?xml", "an XML document"),
)
_ELSEWHERE = (
    (64, b"\x7f\x10\xda\xbe", "a VDI image"),
    (257, b"ustar", "a tar archive (an OVA is one)"),
)
_PRINTABLE = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n\f")


def recognise(first: bytes) -> str | None:
    """Name what begins with ``first``, with its article; None where it is none of the known kinds."""
    for magic, name in _AT_START:
        if first.startswith(magic):
            return name
    for offset, magic, name in _ELSEWHERE:
        if first[offset : offset + len(magic)] == magic:
            return name
    return _text_kind(first[:512])


def is_qcow2(first: bytes) -> bool:
    """Tell whether the bytes begin like a qcow2 image."""
    return first.startswith(b"QFI\xfb")


def has_boot_signature(first: bytes) -> bool:
    """Tell whether a first sector ends in 55 AA, as every MBR and protective MBR does."""
    return first[510:512] == b"\x55\xaa"


def _text_kind(start: bytes) -> str | None:
    if not start:
        return "an empty file"
    head = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head")):
        return "an HTML page"
    # UTF-8 counts as text too: bytes from 0x80 on are let pass where all else is printable.
    if all(byte in _PRINTABLE or byte >= 0x80 for byte in start):
        return "a text file"
    return None
