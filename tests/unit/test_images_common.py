"""What the tests around images share: a very small one that boots, and plans for it; no tests in here."""

import os
import random
from pathlib import Path
from typing import Any

from agent.deployment.plan import DeploymentPlan, FileSum, make_plan
from agent.deployment.target import Target
from agent.fetch.digest import ChecksumKind
from agent.images.image import Image, raw_image
from agent.images.pieces import Incoming
from agent.request.model import Request
from partitioning.byte_access import BytesReader
from partitioning.disks import file_disk
from partitioning.release import ReleasePlan
from tests.table_samples import mbr
from tests.unit.test_request_common import request

MIB = 1 << 20
SECTOR = 512
BOOT_CODE = b"\xeb\x63\x90GRUB"


def tiny_image(size: int = 2 * MIB, *, boot_code: bytes = BOOT_CODE, seed: int = 1) -> bytes:
    """A raw image with an MBR, boot code and one partition full of random bytes."""
    first = 64
    record = mbr([(0x80, 0x83, first, size // SECTOR - first)], boot_code=boot_code, signature=seed)
    return record.ljust(first * SECTOR, b"\0") + random.Random(seed).randbytes(size - first * SECTOR)


class HeldBytes(BytesReader):
    """A file that stays in memory, whatever is given back of it."""

    def come(self, end: int) -> int:
        return min(end, self.size)

    def claim(self) -> None:
        pass

    def settle(self) -> None:
        pass

    def require(self, start: int, end: int) -> None:
        pass

    def read_around(self, length: int, offset: int) -> bytes:
        return self.pread(length, offset)

    def release(self, start: int, end: int) -> None:
        pass


def image_of(data: bytes | Incoming, *, fd: int = -1) -> Image:
    reader = HeldBytes(data) if isinstance(data, bytes) else data
    return raw_image(fd=fd, file_size=reader.size, reader=reader, held=reader.size)


def file_of(path: Path, size: int) -> Path:
    """A sparse file of ``size`` bytes."""
    path.touch()
    os.truncate(path, size)
    return path


def target_for(path: Path, *, sector_size: int | None = None) -> Target:
    """The file at ``path`` as a target."""
    disk = file_disk(path, sector_size=sector_size)
    return Target(disk=disk, group_id=None, release=ReleasePlan(disk=disk, actions=()), firmware=None)


FILE_SUM = FileSum(kind=ChecksumKind.SHA256, value="ab" * 32, asked_for=False)


def plan_for(wanted: Request, folder: Path, *, size: int = 8 * MIB) -> DeploymentPlan:
    """The plan for the small image on a file in ``folder``."""
    return make_plan(wanted, target_for(file_of(folder / "disk", size)), FILE_SUM, image_of(tiny_image()))


def plan_with(folder: Path, **fields: Any) -> DeploymentPlan:
    """The same, for a request with these fields."""
    return plan_for(request(**fields), folder)
