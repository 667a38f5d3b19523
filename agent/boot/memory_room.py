"""How much memory the files of a boot partition may take, beside an image that lies in memory already."""

from agent.fetch.memory import MemoryView

_KEPT = 64 << 20
"""Bytes for everything else that runs: the tools that look into an image, the tables, the ConfigDrive."""


def room_for_files(limit: int) -> int:
    """Give how many bytes of files may be read, ``limit`` at most: they are held twice for a while."""
    return min(limit, max(0, MemoryView().available() - _KEPT) // 2)
