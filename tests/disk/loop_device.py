"""Loop devices for tests, set up and taken down without leaving partitions behind."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def command(*argv: object) -> str:
    """Run a tool that must succeed and give what it printed."""
    done = subprocess.run([str(word) for word in argv], check=True, capture_output=True, text=True)
    return done.stdout


@contextmanager
def loop_device(path: Path, *options: object, sector_size: int = 512) -> Iterator[Path]:
    """Give a loop device over ``path``; it is detached afterwards, whatever the test did."""
    device = Path(
        command("losetup", "--find", "--show", "--sector-size", sector_size, *options, path).strip()
    )
    try:
        yield device
    finally:
        # A test that has detached it gave it away: by now it may be that of another test.
        if _stands_on(device, path):
            detach(device)


def _stands_on(device: Path, path: Path) -> bool:
    try:
        shown = Path("/sys/block", device.name, "loop/backing_file").read_text()
    except OSError:
        return False
    name = shown.rstrip("\n").removesuffix(" (deleted)")
    # What is in another file system than the root's, as /dev is, the kernel may name from its top.
    return name == str(path) or (path.is_relative_to("/dev") and Path(name).name == path.name)


def detach(device: Path) -> None:
    """Take a loop device down."""
    subprocess.run(["partx", "--delete", device], capture_output=True)
    subprocess.run(["losetup", "--detach", device], capture_output=True)
    backing = Path("/sys/block", device.name, "loop/backing_file")
    deadline = time.monotonic() + 10
    while backing.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


@contextmanager
def mounted(device: Path, place: Path, *options: str) -> Iterator[Path]:
    """Mount ``device`` at ``place``, which is made, and unmount it afterwards."""
    place.mkdir(exist_ok=True)
    command("mount", *options, device, place)
    try:
        yield place
    finally:
        command("umount", place)


def sparse_file(path: Path, size: int) -> Path:
    """Make a file of ``size`` bytes that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)
    return path
