"""The kernel's own account of block devices: sysfs. Its directories can be pointed at a recorded tree."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Block sizes and offsets in sysfs count these, whatever the disk's own sectors are (block/genhd.c).
SYSFS_SECTOR = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """Where the kernel shows what it knows."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    dev: Path = Path("/dev")

    def device_path(self, path: str) -> Path:
        """Give where ``path``, a name under /dev, is to be looked up."""
        return self.dev / path.removeprefix("/dev/") if path.startswith("/dev/") else Path(path)


REAL = Roots()


def read_attribute(path: Path) -> str | None:
    """Return the attribute at ``path`` without surrounding blanks, None where it is missing or empty."""
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError:
        # A device may vanish while it is looked at, and some attributes fail with EIO or EINVAL.
        return None
    return text.strip("\0 \t\r\n") or None


@dataclass(frozen=True, slots=True, order=True)
class BlockNode:
    """A block device, whole or a partition, known by its directory in sysfs (resolved)."""

    directory: Path

    @property
    def name(self) -> str:
        """The kernel's name for it, such as sda1."""
        return self.directory.name

    @property
    def device_name(self) -> str:
        """The name under /dev; cciss!c0d0 in sysfs is cciss/c0d0 there."""
        return "/dev/" + self.name.replace("!", "/")

    @property
    def devno(self) -> str:
        """The device number as "major:minor"."""
        return self.read("dev") or ""

    @property
    def is_partition(self) -> bool:
        """Tell whether this is a partition of another block device."""
        return (self.directory / "partition").exists()

    @property
    def whole(self) -> "BlockNode":
        """The disk this is a partition of, or itself."""
        return BlockNode(self.directory.parent) if self.is_partition else self

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.number("size") * SYSFS_SECTOR

    @property
    def start(self) -> int:
        """First byte on the disk, for a partition."""
        return self.number("start") * SYSFS_SECTOR

    def read(self, attribute: str) -> str | None:
        """Return an attribute, None where it is missing or empty."""
        return read_attribute(self.directory / attribute)

    def number(self, attribute: str) -> int:
        """Return an attribute that is a number, 0 where it is missing."""
        text = self.read(attribute) or ""
        return int(text) if text.lstrip("-").isdigit() else 0

    def partitions(self) -> tuple["BlockNode", ...]:
        """Return the partitions the kernel knows, by number."""
        found = [BlockNode(path.parent) for path in self.directory.glob("*/partition")]
        return tuple(sorted(found, key=lambda node: node.number("partition")))

    def neighbours(self, relation: str) -> tuple["BlockNode", ...]:
        """Return what stands on it (``holders``) or what it stands on (``slaves``)."""
        links = (self.directory / relation).glob("*")
        return tuple(sorted(BlockNode(link.resolve()) for link in links))

    def bottoms(self) -> Iterator["BlockNode"]:
        """Yield the disks under a device that is composed of others, nothing for one that is not."""
        for below in self.neighbours("slaves"):
            beneath = tuple(below.whole.bottoms())
            yield from beneath or (below.whole,)


def node_at(devno: str, roots: Roots = REAL) -> BlockNode | None:
    """Find the block device with the number ``devno`` ("major:minor")."""
    return _node(roots.sys / "dev/block" / devno)


def node_named(name: str, roots: Roots = REAL) -> BlockNode | None:
    """Find the block device the kernel calls ``name``."""
    return _node(roots.sys / "class/block" / name) if name else None


def node_behind(path: str, roots: Roots = REAL) -> BlockNode | None:
    """Find the block device behind a name or link under /dev; None for anything else."""
    if not path.startswith("/dev/"):
        return None
    target = roots.device_path(path).resolve()
    if not target.is_relative_to(roots.dev.resolve()):
        return None
    return node_named(str(target.relative_to(roots.dev.resolve())).replace("/", "!"), roots)


def whole_devices(roots: Roots = REAL) -> tuple[BlockNode, ...]:
    """Return every block device that is not a partition."""
    links = (roots.sys / "class/block").glob("*")
    nodes = (BlockNode(link.resolve()) for link in links)
    return tuple(sorted(node for node in nodes if not node.is_partition))


def _node(link: Path) -> BlockNode | None:
    return BlockNode(link.resolve()) if link.exists() else None
