"""Builds a sysfs, procfs and /dev as a kernel shows them, from paths recorded on real machines."""

import os
from pathlib import Path

from partitioning.sysfs import Roots

SATA = "pci0000:00/0000:00:1f.2/ata{n}/host{n}/target{n}:0:0/{n}:0:0:0/block/{name}"
NVME = "pci0000:00/0000:00:03.1/0000:{bus}:00.0/nvme/nvme{n}/nvme{n}n1"
VIRTIO = "pci0000:00/0000:00:{slot}.0/virtio{n}/block/{name}"
SAS = (
    "pci0000:80/0000:80:03.0/0000:81:00.0/host{n}/port-{n}:0/end_device-{n}:0"
    "/target{n}:0:{target}/{n}:0:{target}:0/block/{name}"
)
USB = "pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0/host9/target9:0:0/9:0:0:0/block/{name}"

GB = 10**9
MIB = 1 << 20


class Tree:
    """A recorded machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.roots = Roots(sys=root / "sys", proc=root / "proc", dev=root / "dev")
        for directory in ("sys/devices", "sys/class/block", "sys/dev/block", "proc/self", "dev"):
            (root / directory).mkdir(parents=True)
        self.mounts()
        self.swaps()
        self._minor = 0

    def disk(self, path: str, *, size: int = 480 * GB, sector: int = 512, **attributes: object) -> Path:
        """Add the disk at ``path`` below /sys/devices; ``a__b`` as a keyword is the attribute a/b."""
        directory = self._device(self.root / "sys/devices" / path, size)
        (directory / "queue").mkdir()
        self.write(directory, "queue/logical_block_size", sector)
        self.write(directory, "queue/physical_block_size", 4096)
        self.write(directory, "queue/rotational", 0)
        self.write(directory, "removable", 0)
        self.write(directory, "ro", 0)
        self.set(directory, **attributes)
        return directory

    def virtual(self, name: str, *, size: int = 480 * GB, **attributes: object) -> Path:
        directory = self.disk(f"virtual/block/{name}", size=size)
        self.set(directory, **attributes)
        return directory

    def partition(self, disk: Path, number: int, *, start: int = MIB, size: int = GB) -> Path:
        separator = "p" if disk.name[-1].isdigit() else ""
        directory = self._device(disk / f"{disk.name}{separator}{number}", size)
        self.set(directory, partition=number, start=start // 512)
        return directory

    def set(self, directory: Path, **attributes: object) -> None:
        for name, value in attributes.items():
            self.write(directory, name.replace("__", "/"), value)

    def write(self, directory: Path, attribute: str, value: object) -> None:
        path = directory / attribute
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value if isinstance(value, bytes) else f"{value}\n".encode())

    def stack(self, above: Path, *below: Path) -> None:
        """Let ``above`` stand on each of ``below``."""
        for node in below:
            self._link(node / "holders" / above.name, above)
            self._link(above / "slaves" / node.name, node)

    def link(self, path: str, node: Path) -> None:
        """Add a link under /dev to ``node``."""
        self._link(self.root / "dev" / path, self.root / "dev" / node.name)

    def mounts(self, *lines: str) -> None:
        text = "".join(f"{number} 1 {line}\n" for number, line in enumerate(lines, 30))
        (self.root / "proc/self/mountinfo").write_text(text)

    def swaps(self, *paths: str) -> None:
        lines = [f"{path}  partition  1000  0  -2\n" for path in paths]
        (self.root / "proc/swaps").write_text("Filename Type Size Used Priority\n" + "".join(lines))

    def node(self, name: str) -> Path:
        """Give the directory of the device the kernel calls ``name``."""
        return (self.root / "sys/class/block" / name).resolve()

    def devno(self, node: Path) -> str:
        return (node / "dev").read_text().strip()

    def _device(self, directory: Path, size: int) -> Path:
        self._minor += 1
        devno = f"8:{self._minor}"
        (directory / "holders").mkdir(parents=True)
        (directory / "slaves").mkdir()
        self.write(directory, "dev", devno)
        self.write(directory, "size", size // 512)
        self._link(self.root / "sys/class/block" / directory.name, directory)
        self._link(self.root / "sys/dev/block" / devno, directory)
        node = self.root / "dev" / directory.name.replace("!", "/")
        node.parent.mkdir(exist_ok=True)
        node.touch()
        return directory

    def _link(self, link: Path, target: Path) -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(target, link.parent))
