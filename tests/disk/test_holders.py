"""Holders of real devices: loop devices, mounts and swap; the kernel itself is the judge."""

import dataclasses
import fcntl
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from partitioning import release
from partitioning.disk_selection import disk_at
from partitioning.disks import Disk
from partitioning.errors import DiskBusy, DiskNotFound
from partitioning.holders import HolderKind, describe_holders, find_holders
from partitioning.release import carry_out, plan_release, released_and_open
from partitioning.running_system import refuse_if_in_use
from tests.disk.loop_device import command, detach, loop_device, mounted, sparse_file
from tests.disk.old_contents import MIB

pytestmark = pytest.mark.disk

SIZE = 160 * MIB


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return sparse_file(tmp_path / "disk.img", SIZE)


@pytest.fixture
def device(image: Path) -> Iterator[Path]:
    with loop_device(image) as path:
        yield path


@pytest.fixture
def partitioned(device: Path) -> Path:
    command("sgdisk", "--zap-all", "--new=1:1M:+64M", "--new=2:0:0", device)
    command("partx", "--add", device)
    return device


def disk(path: Path) -> Disk:
    return disk_at(path, ())


def described(path: Path) -> str:
    return describe_holders(find_holders(disk(path)))


def refused(path: Path) -> DiskBusy:
    with pytest.raises(DiskBusy) as caught:
        refuse_if_in_use(disk(path))
    return caught.value


def part(device: Path, number: int) -> Path:
    return Path(f"{device}p{number}")


def test_a_free_device_and_a_free_file(device: Path, tmp_path: Path) -> None:
    assert find_holders(disk(device)) == ()
    assert find_holders(disk(sparse_file(tmp_path / "free.img", MIB))) == ()
    refuse_if_in_use(disk(device))


def test_mounted_at_a_place_with_a_blank(partitioned: Path, tmp_path: Path) -> None:
    command("mkfs.ext4", "-q", "-F", part(partitioned, 1))
    with mounted(part(partitioned, 1), tmp_path / "my mount") as place:
        assert described(partitioned) == f"{partitioned.name}p1: mounted at {place}"
        error = refused(partitioned)
        assert str(place) in error.detail
        assert f"umount '{place}'" in error.hint
    assert described(partitioned) == ""


def test_swap(partitioned: Path) -> None:
    command("mkswap", part(partitioned, 2))
    command("swapon", part(partitioned, 2))
    try:
        assert described(partitioned) == f"{partitioned.name}p2: in use as swap"
        assert f"swapoff {part(partitioned, 2)}" in refused(partitioned).hint
    finally:
        command("swapoff", part(partitioned, 2))
    assert described(partitioned) == ""


def test_swap_file_on_the_disk(device: Path, tmp_path: Path) -> None:
    command("mkfs.ext4", "-q", "-F", device)
    with mounted(device, tmp_path / "mnt") as place:
        swap = place / "swap file"
        swap.write_bytes(bytes(4 * MIB))
        swap.chmod(0o600)
        command("mkswap", swap)
        command("swapon", swap)
        try:
            assert described(device) == f"{device.name}: mounted at {place} ← in use as swap"
            assert f"swapoff '{swap}'; umount {place}" in refused(device).hint
        finally:
            command("swapoff", swap)


def test_a_file_that_is_in_use_through_a_loop_device(image: Path, device: Path, tmp_path: Path) -> None:
    assert described(image) == f"disk.img: {device.name} ({image})"
    command("mkfs.ext4", "-q", "-F", device)
    with mounted(device, tmp_path / "mnt") as place:
        assert described(image) == f"disk.img: {device.name} ({image}) ← mounted at {place}"
        assert str(place) in refused(image).detail


def test_a_file_on_a_mounted_disk_behind_a_mounted_loop_device(device: Path, tmp_path: Path) -> None:
    command("mkfs.ext4", "-q", "-F", device)
    with ExitStack() as stack:
        outer = stack.enter_context(mounted(device, tmp_path / "outer"))
        inner_image = sparse_file(outer / "inner.img", 16 * MIB)
        command("mkfs.ext4", "-q", "-F", inner_image)
        inner = stack.enter_context(loop_device(inner_image))
        place = stack.enter_context(mounted(inner, tmp_path / "inner"))
        assert described(device) == (
            f"{device.name}: mounted at {outer} ← {inner.name} ({inner_image}) ← mounted at {place}"
        )
        assert f"umount {place}; umount {outer}" in refused(device).hint


@pytest.mark.skipif(shutil.which("mkfs.btrfs") is None, reason="btrfs-progs is not installed")
def test_both_devices_of_a_btrfs(image: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        other = sparse_file(tmp_path / "other.img", SIZE)
        devices = [stack.enter_context(loop_device(path)) for path in (image, other)]
        command("mkfs.btrfs", "-q", "-d", "single", "-m", "raid1", *devices)
        command("btrfs", "device", "scan", *devices)
        place = stack.enter_context(mounted(devices[0], tmp_path / "pool"))
        for each in devices:
            assert described(each) == f"{each.name}: mounted at {place}"
            assert f"umount {place}" in refused(each).hint


def test_what_nothing_lists_is_found_by_asking_for_the_disk(device: Path) -> None:
    fd = os.open(device, os.O_RDONLY | os.O_EXCL)
    try:
        (holder,) = find_holders(disk(device))
        assert holder.kind is HolderKind.UNKNOWN
        assert "zpool" in refused(device).hint
    finally:
        os.close(fd)
    assert find_holders(disk(device)) == ()


def test_a_look_at_the_disk_that_passes_is_no_holder(device: Path) -> None:
    fd = os.open(device, os.O_RDONLY | os.O_EXCL)
    timer = threading.Timer(0.3, os.close, [fd])
    timer.start()
    assert find_holders(disk(device)) == ()
    timer.join()


def test_a_mount_in_another_namespace(device: Path, tmp_path: Path) -> None:
    command("mkfs.ext4", "-q", "-F", device)
    place = tmp_path / "mnt"
    place.mkdir()
    script = f"mount {device} '{place}' && echo ready && exec sleep 30"
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            assert "namespace" in described(device)
        finally:
            process.terminate()


def test_release_of_a_loop_device_on_the_disk(device: Path) -> None:
    with loop_device(device) as above, loop_device(above) as top:
        plan = plan_release(disk(device))
        assert [action.line for action in plan.actions] == [
            f"stop {top.name} ({above}) on {above.name}",
            f"stop {above.name} ({device}) on {device.name}",
        ]
        carry_out(plan)
        assert find_holders(disk(device)) == ()
        assert not Path("/sys/block", above.name, "loop/backing_file").exists()


def test_release_of_a_file(image: Path, device: Path) -> None:
    shown: list[str] = []
    with released_and_open(disk(image), on_action=lambda action: shown.append(action.line)) as opened:
        opened.pwrite(b"mine", 0)
    assert shown == [f"stop {device.name} ({image}) on disk.img"]
    assert image.read_bytes()[:4] == b"mine"


def test_what_is_mounted_is_not_released(image: Path, device: Path, tmp_path: Path) -> None:
    command("mkfs.ext4", "-q", "-F", device)
    with mounted(device, tmp_path / "mnt"), pytest.raises(DiskBusy):
        plan_release(disk(image))
    assert str(image) in command("losetup", "--list")


def test_what_comes_back_by_itself_is_stopped_again(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioning.release._FREE_WAIT", 0.5)
    again: list[Path] = []

    def assemble_once_more() -> None:
        backing = Path("/sys/block", above.name, "loop/backing_file")
        deadline = time.monotonic() + 10
        while backing.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        again.append(Path(command("losetup", "--find", "--show", device).strip()))

    above = Path(command("losetup", "--find", "--show", device).strip())
    udev = threading.Thread(target=assemble_once_more)
    udev.start()
    try:
        with released_and_open(disk(device)) as opened:
            udev.join()
            # Had it come back after the last look, the disk would not have been free to open.
            assert opened.size == SIZE
            left = find_holders(disk(device), probe=False)
            assert [holder.kind for holder in left] in ([], [HolderKind.LOOP])
    finally:
        udev.join()
        for path in (above, *again):
            detach(path)


def test_every_path_to_the_disk_is_held(
    device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loop_device(sparse_file(tmp_path / "second path", SIZE)) as path:
        other = disk(path)
        monkeypatch.setattr(release, "other_paths", lambda _disk, **_: (other,))
        with released_and_open(disk(device)), pytest.raises(OSError, match="busy"):
            os.open(path, os.O_RDONLY | os.O_EXCL)
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL))


def test_a_path_that_has_gone_is_left(device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = dataclasses.replace(disk(device), path=tmp_path / "gone")
    monkeypatch.setattr(release, "other_paths", lambda _disk, **_: (gone,))
    with released_and_open(disk(device)) as opened:
        assert opened.path == device


def test_a_disk_that_is_held_over_another_path_is_busy(
    device: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loop_device(sparse_file(tmp_path / "second path", SIZE)) as path:
        other = disk(path)
        monkeypatch.setattr(release, "other_paths", lambda _disk, **_: (other,))
        monkeypatch.setattr("partitioning.open_disk._LOCK_WAIT", 0.2)
        held = os.open(path, os.O_RDONLY | os.O_EXCL)
        try:
            with pytest.raises(DiskBusy, match=f"The disk {path} is in use"), released_and_open(disk(device)):
                pass
        finally:
            os.close(held)
    os.close(os.open(device, os.O_RDWR | os.O_EXCL))  # nothing is left open of the disk itself


def test_a_disk_that_is_locked_at_first_is_tried_again(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioning.open_disk._LOCK_WAIT", 0.3)
    fd = os.open(device, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    timer = threading.Timer(0.5, os.close, [fd])
    timer.start()
    try:
        with released_and_open(disk(device)) as opened:
            assert opened.size == SIZE
    finally:
        timer.join()


def test_a_disk_that_stays_locked_is_busy(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioning.open_disk._LOCK_WAIT", 0.1)
    with device.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DiskBusy, match="locked"), released_and_open(disk(device)):
            pass


def test_another_disk_under_the_name_is_not_opened_for_work(image: Path, tmp_path: Path) -> None:
    chosen = disk(image)
    sparse_file(tmp_path / "new.img", SIZE).rename(image)
    with pytest.raises(DiskNotFound, match="no longer the disk that was chosen"), released_and_open(chosen):
        pass
