"""What a download gives."""

from dataclasses import dataclass

from agent.fetch.digest import ChecksumKind

FIRST_BYTES = 64 << 10
"""How much of the image ``on_first_bytes`` is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """An image that is whole in its spool, and whose checksum was right if one was asked for."""

    size: int
    """Bytes."""
    digests: dict[ChecksumKind, str]
    url: str
    """Where the bytes came from in the end, without secrets."""
    etag: str | None
    seconds: float
    attempts: int
