"""Where a range of the virtual disk stands in the file of its image."""

from typing import NamedTuple

_SECTOR = 512


class Extent(NamedTuple):
    """``length`` bytes of the virtual disk from ``guest`` on stand in the file from ``host`` on.

    ``packed`` is zero where they stand there as they are. Otherwise they are packed into that many bytes of
    the file, or a few less: the last sector of them may hold the beginning of others.
    """

    host: int
    guest: int
    length: int
    packed: int

    @property
    def host_end(self) -> int:
        """Offset in the file of the first byte behind it."""
        return self.host + (self.packed or self.length)

    @property
    def least_end(self) -> int:
        """Offset that the file has to reach. The last sector of one that ends in packed data may be cut."""
        return max(self.host, self.host_end - _SECTOR) + 1 if self.packed else self.host_end
