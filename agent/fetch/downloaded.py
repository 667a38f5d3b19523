"""What a download gives."""

from dataclasses import dataclass

from agent.fetch.digest import ChecksumKind

FIRST_BYTES = 64 << 10
"""How much of the image ``on_first_bytes`` is shown: all that telling what a file is may need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """An image that is whole in its spool, and whose checksum was right if one was asked for."""

    size: int
    """Bytes."""
    digests: dict[ChecksumKind, str]
    etag: str | None
    """The validator under which the server knows this version, where it gives one."""
