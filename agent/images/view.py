"""What other programs need to read an image: an open descriptor, and how the image stands in that file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A file in terms of QEMU's block layer. Offsets and sizes in bytes."""

    fd: int
    format: str
    """QEMU's name of it: raw, qcow2, vmdk."""
    is_block_device: bool = False
    window: tuple[int, int] | None = None
    """Where in the file the image is, when it is not all of it: offset and length."""
    overlay: int | None = None
    """A descriptor of a qcow2 file with what the image has in place of the file's own bytes."""
