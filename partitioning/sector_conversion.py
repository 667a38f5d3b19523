"""LBAs that counted in sectors of one size, counted in sectors of another. Every byte stays where it is."""

from dataclasses import dataclass

from partitioning.errors import NotConvertible


@dataclass(frozen=True, slots=True, kw_only=True)
class SectorConversion:
    """From which logical sector size to which; both in bytes."""

    made_for: int
    sector_size: int

    def start(self, number: int, lba: int) -> int:
        """Give the LBA at which partition ``number`` begins. NotConvertible when it is within a sector."""
        start = lba * self.made_for
        if start % self.sector_size:
            raise self.refused(
                f"Partition {number} begins at byte {start}, which is not a multiple of {self.sector_size}.",
                hint=f"Make an image whose partitions begin on whole MiB, or one for {self.sector_size}-byte "
                "sectors.",
            )
        return start // self.sector_size

    def covering(self, sectors: int) -> int:
        """Give how many sectors it takes to cover so many old ones from the beginning of the disk."""
        return -(-sectors * self.made_for // self.sector_size)

    def within(self, sectors: int) -> int:
        """Give how many whole sectors lie within so many old ones from the beginning of the disk."""
        return sectors * self.made_for // self.sector_size

    def refused(self, detail: str, *, hint: str = "") -> NotConvertible:
        """Make the error for a table that can not be rewritten."""
        return NotConvertible(
            f"The partition table is made for {self.made_for}-byte sectors and can not be rewritten for "
            f"{self.sector_size}-byte sectors.",
            detail=detail,
            hint=hint
            or f"Use an image made for {self.sector_size}-byte sectors, or a disk with {self.made_for}-byte "
            "sectors (many NVMe disks can be reformatted: nvme id-ns, nvme format --lbaf).",
        )
