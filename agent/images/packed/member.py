"""One packed stretch of a file, as bytes come: a gzip member, an xz stream, zstd frames, a bzip2 stream.

A file may be several of them, one after another: ``cat``, and tools that pack in several threads, make such.
"""

from typing import Protocol

from agent.images.packed.packing import Packing

LARGEST_WINDOW = 128 << 20
"""Bytes of what was unpacked that a packer may refer back to: what xz and zstd unpack without being told to
take more."""


_OTHER_WINDOWS = {Packing.GZIP: 32 << 10, Packing.BZIP2: 4 << 20}
_BESIDE_WINDOW = 8 << 20


def most_memory(packing: Packing) -> int:
    """Give how many bytes of memory unpacking takes at the most."""
    return _OTHER_WINDOWS.get(packing, LARGEST_WINDOW) + _BESIDE_WINDOW


class Member(Protocol):
    """Unpacks one member. Errors are those in ``damage``."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take ``data``, and give the next bytes, at most so many; more of them come with no data at all."""
        ...

    @property
    def needs_input(self) -> bool:
        """Tell whether nothing more comes without more data."""
        ...

    @property
    def eof(self) -> bool:
        """Tell whether the member has ended, and all of it was given."""
        ...

    @property
    def unused_data(self) -> bytes:
        """The data behind its end; empty before."""
        ...


def new_member(packing: Packing) -> Member:
    """Begin with a member."""
    match packing:
        case Packing.GZIP:
            from isal import igzip_lib  # these are loaded when they are needed, as most images need none

            return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        case Packing.XZ:
            import lzma

            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=most_memory(packing))
        case Packing.ZSTD:
            from agent.images.packed.zstd_frame import ZstdFrame

            return ZstdFrame(LARGEST_WINDOW)
        case Packing.BZIP2:
            import bz2

            return bz2.BZ2Decompressor()


def damage(packing: Packing) -> tuple[type[Exception], ...]:
    """Give the errors by which a Member says that it can not go on."""
    match packing:
        case Packing.GZIP:
            from isal import igzip_lib

            return (igzip_lib.IsalError,)  # type: ignore[return-value]  # the stub calls it a value
        case Packing.XZ:
            import lzma

            return (lzma.LZMAError,)
        case Packing.ZSTD:
            import zstandard

            return (zstandard.ZstdError,)
        case Packing.BZIP2:
            return (OSError, ValueError)
