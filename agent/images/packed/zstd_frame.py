"""A zstd frame, block by block: no more is unpacked at a time than is asked for, and its end is known.

Source: RFC 8878, sections 3.1.1 (frames), 3.1.1.2 (blocks) and 3.1.2 (frames to be skipped).
"""

from collections.abc import Callable

import zstandard

_SKIPPED = 0x184D2A5
"""The upper 28 bits of the magic of frames to be skipped."""
_LONGEST_BLOCK = 128 << 10
_BLOCK_HEADER = 3
_RLE, _RESERVED = 1, 3
_CHECKSUM = 4

_Part = Callable[[], bytes | None]
"""Takes the next part of the frame from what has come, and gives what it unpacks to; None: too little."""


class ZstdFrame:
    """A Member: one frame of data, or one that is skipped."""

    def __init__(self, largest_window: int) -> None:
        """``largest_window`` is how far back (bytes) the frame may refer."""
        self._frame = zstandard.ZstdDecompressor(max_window_size=largest_window).decompressobj()
        self._data = bytearray()
        self._part: _Part | None = self._header
        self._checksum = False
        self._to_skip = 0
        self._ready = b""
        self._starved = True

    @property
    def needs_input(self) -> bool:
        """Tell whether nothing more comes without more data."""
        return self._starved and not self._ready

    @property
    def eof(self) -> bool:
        """Tell whether the frame has ended, and all of it was given."""
        return self._part is None and not self._ready

    @property
    def unused_data(self) -> bytes:
        """The data behind the frame's end."""
        return bytes(self._data) if self._part is None else b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take ``data`` and give the next bytes, at most so many. Raises ZstdError."""
        self._data += data
        pieces, length = [self._ready], len(self._ready)
        while length < max_length and self._part is not None:
            piece = self._part()
            self._starved = piece is None
            if piece is None:
                break
            pieces.append(piece)
            length += len(piece)
        whole = b"".join(pieces)
        self._ready = whole[max_length:]
        return whole[:max_length]

    def _header(self) -> bytes | None:
        magic = self._number(0, 4)
        if magic is None:
            return None
        if magic >> 4 == _SKIPPED:
            length = self._number(4, 4)
            if length is None:
                return None
            self._to_skip = 8 + length
            self._part = self._skip
            return b""
        descriptor = self._number(4, 1)
        if descriptor is None:
            return None
        length = _header_length(descriptor)
        if len(self._data) < length:
            return None
        self._checksum = bool(descriptor & 4)
        self._part = self._block
        return self._unpack(length)

    def _skip(self) -> bytes | None:
        skipped = min(self._to_skip, len(self._data))
        del self._data[:skipped]
        self._to_skip -= skipped
        if self._to_skip:
            return None
        self._part = None
        return b""

    def _block(self) -> bytes | None:
        header = self._number(0, _BLOCK_HEADER)
        if header is None:
            return None
        kind, size = header >> 1 & 3, header >> 3
        if kind == _RESERVED or size > _LONGEST_BLOCK:
            raise zstandard.ZstdError("a block that no frame may have")
        length = _BLOCK_HEADER + (1 if kind == _RLE else size)
        is_last = bool(header & 1)
        if is_last and self._checksum:
            length += _CHECKSUM
        if len(self._data) < length:
            return None
        if is_last:
            self._part = None
        return self._unpack(length)

    def _unpack(self, length: int) -> bytes:
        piece = bytes(self._data[:length])
        del self._data[:length]
        unpacked = self._frame.decompress(piece)
        if self._frame.eof != (self._part is None):
            raise zstandard.ZstdError("the frame does not end where its blocks do")
        return unpacked

    def _number(self, at: int, length: int) -> int | None:
        part = self._data[at : at + length]
        return int.from_bytes(part, "little") if len(part) == length else None


def _header_length(descriptor: int) -> int:
    """Give the bytes of magic and header (RFC 8878, section 3.1.1.1)."""
    is_single = descriptor >> 5 & 1
    window = 0 if is_single else 1
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    content_size = (is_single, 2, 4, 8)[descriptor >> 6]
    return 5 + window + dictionary + content_size
