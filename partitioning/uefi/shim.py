"""What is built into a shim: the certificates that its vendor trusts, and what the vendor forbids.

The shim's source, cert.S: section ``.vendor_cert`` begins with two sizes and two offsets, of what is allowed
and of what is forbidden, counted from the section's start. Each is a certificate in DER, or signature lists.
"""

import struct

from partitioning.uefi.der import SEQUENCE, SignatureMalformed, read_element
from partitioning.uefi.pe_image import PeImage, parse_pe
from partitioning.uefi.signature_lists import SignatureLists, parse_signature_lists

# The second is what is left of the name where it was cut to the 8 bytes of a section header.
_SECTION_NAMES = (".vendor_cert", ".vendor_")
_TABLE = struct.Struct("<IIII")


def is_shim(data: bytes) -> bool:
    """Tell whether the program is a shim. Raises PeMalformed."""
    return vendor_section(parse_pe(data)) is not None


def vendor_section(image: PeImage) -> bytes | None:
    """Give the section that makes a program a shim."""
    return image.section(*_SECTION_NAMES)


def vendor_allowed(section: bytes) -> SignatureLists:
    """Give what the shim's vendor allows; nothing where the section is malformed."""
    size, _, offset, _ = _table(section)
    return _lists(section[offset : offset + size])


def vendor_forbidden(section: bytes) -> SignatureLists:
    """Give what the shim's vendor forbids; nothing where the section is malformed."""
    _, size, _, offset = _table(section)
    return _lists(section[offset : offset + size])


def _table(section: bytes) -> tuple[int, int, int, int]:
    return _TABLE.unpack_from(section.ljust(_TABLE.size, b"\0"))


def _lists(data: bytes) -> SignatureLists:
    return SignatureLists(certificates=(data,)) if _is_certificate(data) else parse_signature_lists(data)


def _is_certificate(data: bytes) -> bool:
    # The GUIDs that begin a list of a known type do not begin as a DER sequence of this very length.
    try:
        return data[:1] == bytes([SEQUENCE]) and len(read_element(data).raw) == len(data)
    except SignatureMalformed:
        return False
