"""What a packed file is packed with, told by its first bytes."""

from enum import Enum

LONGEST_MAGIC = 6
"""Bytes that tell what something is packed with."""


class Packing(Enum):
    """A way to pack a file; the value is how it is called."""

    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"
    BZIP2 = "bzip2"

    @property
    def file(self) -> str:
        """What a file of it is called."""
        return f"{self.value} file"


_MAGICS = {
    Packing.GZIP: (b"\x1f\x8b\x08",),  # RFC 1952, section 2.3.1; 8 is deflate, the only method there is
    Packing.XZ: (b"\xfd7zXZ\x00",),  # The .xz File Format, section 2.1.1.1
    # RFC 8878, sections 3.1.1 and 3.1.2: a frame of data, or one to be skipped (pzstd begins with such).
    Packing.ZSTD: (b"\x28\xb5\x2f\xfd", *(bytes((0x50 + low,)) + b"\x2a\x4d\x18" for low in range(16))),
    Packing.BZIP2: (b"BZh",),
}


def packing_of(first: bytes) -> Packing | None:
    """Tell what a file that begins with ``first`` is packed with; None where it is not."""
    return next((packing for packing in Packing if begins(packing, first)), None)


def begins(packing: Packing, data: bytes) -> bool:
    """Tell whether ``data`` begins like something that is packed so."""
    return data.startswith(_MAGICS[packing])
