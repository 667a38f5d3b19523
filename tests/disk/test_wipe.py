"""Wiping is judged by blkid and wipefs: what they found before, they must not find after."""

import json
import os
import random
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioning import partition_nodes
from partitioning.errors import DiskBusy
from partitioning.old_partitions import old_partitions
from partitioning.open_disk import OpenDisk, open_exclusively
from partitioning.partition_nodes import drop_partition_nodes, kernel_partitions
from partitioning.wipe import MARGIN, erase_all, plan_wipe, wipe_signatures
from tests.disk.loop_device import command, detach, loop_device, mounted, sparse_file
from tests.disk.old_contents import CONTENTS, MIB

pytestmark = pytest.mark.disk

SIZE = 160 * MIB
# blkid looks for ZFS only where there are 64 MiB.
PARTITIONS = ((1 * MIB, 65 * MIB), (66 * MIB, 85 * MIB))
DISKS = ("file-512", "loop-512", "loop-4096")


@dataclass
class Target:
    path: Path
    sector_size: int

    @contextmanager
    def open(self) -> Iterator[OpenDisk]:
        sector_size = self.sector_size if self.path.is_file() else None
        with open_exclusively(self.path, sector_size=sector_size) as disk:
            yield disk


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """Give a directory in memory where there is one: these tests write much."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as directory:
        yield Path(directory)


@pytest.fixture(params=DISKS)
def target(request: pytest.FixtureRequest, in_memory: Path) -> Iterator[Target]:
    sort, sector_size = request.param.split("-")
    path = in_memory / "disk.img"
    block = random.Random(1).randbytes(MIB)
    with path.open("wb") as file:
        for _ in range(SIZE // MIB):
            file.write(block)
    if sort == "file":
        yield Target(path, int(sector_size))
        return
    with loop_device(path, sector_size=int(sector_size)) as device:
        yield Target(device, int(sector_size))


def lay(target: Target, name: str, start: int, size: int) -> None:
    with target.path.open("r+b") as file:
        for offset, data in CONTENTS[name](size).items():
            file.seek(start + offset)
            file.write(data)


def found(target: Target, start: int = 0, size: int = SIZE) -> set[str]:
    """Give what blkid and wipefs find in a range of the disk, asked by their own means."""
    options = ["--probe", "--offset", str(start), "--size", str(size), "--output", "export"]
    blkid = subprocess.run(["blkid", *options, target.path], capture_output=True, text=True)
    assert blkid.returncode in (0, 2, 8), blkid.stderr
    names = {
        line.split("=")[1] for line in blkid.stdout.splitlines() if line.startswith(("TYPE=", "PTTYPE="))
    }
    if blkid.returncode == 8:
        names.add("ambivalent")
    if (start, size) == (0, SIZE):
        report = command("wipefs", "--no-act", "--json", target.path)
        names |= {entry["type"] for entry in json.loads(report or '{"signatures": []}')["signatures"]}
    return names


def wipe(target: Target, *partitions: tuple[int, int]) -> None:
    with target.open() as disk:
        wipe_signatures(disk, partitions)


@pytest.mark.parametrize("name", CONTENTS)
def test_nothing_is_found_on_the_whole_disk(target: Target, name: str) -> None:
    lay(target, name, 0, SIZE)
    assert found(target)
    wipe(target)
    assert found(target) == set()


@pytest.mark.parametrize("name", CONTENTS)
def test_nothing_is_found_in_old_partitions(target: Target, name: str) -> None:
    for partition in PARTITIONS:
        lay(target, name, *partition)
        assert found(target, *partition)
    wipe(target, *PARTITIONS)
    assert [found(target, *partition) for partition in PARTITIONS] == [set(), set()]


def test_gpt_and_its_backup(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "disk.img", SIZE)
    for sector_size in (512, 4096):
        with loop_device(path, sector_size=sector_size) as device:
            target = Target(device, sector_size)
            command("sgdisk", "--zap-all", "--new=1:0:+65M", "--new=2:0:0", device)
            assert found(target) >= {"gpt", "PMBR"}
            wipe(target)
            assert found(target) == set()
            lost = subprocess.run(["sgdisk", "--verify", device], capture_output=True, text=True).stdout
            assert "Creating new GPT entries in memory" in lost


def test_only_the_ends_are_written(target: Target) -> None:
    before = read(target.path)
    wipe(target, *PARTITIONS)
    after = read(target.path)
    ranges = plan_wipe(SIZE, PARTITIONS)
    assert ranges == ((0, 9 * MIB), (58 * MIB, 16 * MIB), (143 * MIB, 8 * MIB), (152 * MIB, 8 * MIB))
    position = 0
    for start, length in (*ranges, (SIZE, 0)):
        assert after[position:start] == before[position:start]
        assert after[start : start + length] == bytes(length)
        position = start + length


def read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read()


@given(
    size=st.integers(1, 100 * MIB),
    partitions=st.lists(st.tuples(st.integers(-MIB, 110 * MIB), st.integers(0, 110 * MIB)), max_size=6),
)
def test_the_plan_is_within_the_disk_in_order_and_complete(
    size: int, partitions: list[tuple[int, int]]
) -> None:
    plan = plan_wipe(size, partitions)
    position = -1
    for start, length in plan:
        assert length > 0
        assert start > position
        position = start + length
    assert plan[0][0] == 0
    assert position == size
    for start, length in ((0, size), *partitions):
        for byte in (start, start + MARGIN - 1, start + length - MARGIN, start + length - 1):
            if max(0, start) <= byte < min(size, start + length):
                assert any(first <= byte < first + count for first, count in plan)


@pytest.fixture
def partitioned(tmp_path: Path) -> Iterator[Path]:
    path = sparse_file(tmp_path / "disk.img", SIZE)
    with loop_device(path) as device:
        command("sgdisk", "--zap-all", "--new=1:1M:+65M", "--new=2:66M:+85M", device)
        command("partx", "--add", device)
        yield device


def nodes(device: Path) -> list[str]:
    return sorted(path.parent.name for path in Path("/sys/block", device.name).glob("*/partition"))


def test_partitions_the_kernel_knows_are_wiped_and_forgotten(partitioned: Path) -> None:
    target = Target(partitioned, 512)
    for partition in PARTITIONS:
        lay(target, "md 1.0", *partition)
    with target.open() as disk:
        assert kernel_partitions(disk) == PARTITIONS
        old = old_partitions(disk)
        drop_partition_nodes(disk)
        wipe_signatures(disk, old)
        assert kernel_partitions(disk) == ()
    assert nodes(partitioned) == []
    assert not Path(f"{partitioned}p1").exists()
    assert [found(target, *partition) for partition in PARTITIONS] == [set(), set()]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_nodes, "_BUSY_WAIT", 0.3)


def test_a_partition_that_stays_open_is_reported(partitioned: Path, impatient: None) -> None:
    before = read(partitioned)
    with Path(f"{partitioned}p1").open("rb"), Target(partitioned, 512).open() as disk:
        with pytest.raises(DiskBusy, match=f"{partitioned}p1 is in use"):
            drop_partition_nodes(disk)
        assert read(partitioned) == before


def test_a_partition_that_is_open_for_a_moment_is_waited_for(partitioned: Path) -> None:
    fd = os.open(f"{partitioned}p1", os.O_RDONLY)
    timer = threading.Timer(0.4, os.close, [fd])
    timer.start()
    try:
        with Target(partitioned, 512).open() as disk:
            drop_partition_nodes(disk)
        assert nodes(partitioned) == []
    finally:
        timer.join()


def test_a_mounted_partition_keeps_the_disk_from_being_opened(
    partitioned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partitioning.open_disk._LOCK_WAIT", 0.3)
    partition = Path(f"{partitioned}p1")
    command("mkfs.ext4", "-q", "-F", partition)
    with mounted(partition, tmp_path / "mnt"), pytest.raises(DiskBusy), Target(partitioned, 512).open():
        pass


def test_erasing_everything(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioning.wipe._ERASE_PIECE", 60 * MIB)
    seen: list[int] = []
    with target.open() as disk:
        erase_all(disk, seen.append)
    assert seen == [60 * MIB, 120 * MIB, SIZE]
    assert read(target.path) == bytes(SIZE)


def test_a_loop_device_of_the_tests_is_gone_afterwards(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "disk.img", 16 * MIB)
    with loop_device(path) as device:
        assert str(path) in command("losetup", "--list", device)
        detach(device)
    assert str(path) not in command("losetup", "--list")
