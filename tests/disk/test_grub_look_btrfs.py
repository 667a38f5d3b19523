"""Menus on Btrfs, which GRUB sees from its top level: in subvolumes as distributions call them."""

import itertools
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.boot.hand_over import hand_over_config
from agent.images import grub_look
from agent.images.errors import NotBootable
from agent.images.grub_look import GrubFileSystem, menus
from partitioning.command import CommandTimedOut
from tests.disk.found_menu import found_in
from tests.disk.loop_device import loop_device, mounted
from tests.small_images import MIB, gpt_image, tool

ROOT_START, IMAGE_SIZE = 36 * MIB, 160 * MIB
ROOT_SIZE = IMAGE_SIZE - ROOT_START - MIB
KERNEL = b"the kernel" * 1000
MENU = "menuentry 'Linux' {{\n  linux {subvolume}/boot/vmlinuz-1 root=UUID=x rootflags=subvol=y\n}}\n"


def with_btrfs_root(raw: Path, *, subvolume: str, directory: str, label: str = "") -> Path:
    """Put a Btrfs with a kernel, and a menu in ``directory``, where the root partition of the image is."""
    where = ("--offset", ROOT_START, "--sizelimit", ROOT_SIZE)
    with loop_device(raw, *where) as device:
        tool("mkfs.btrfs", "-q", "-f", "-m", "single", "-L", label, device)
        with mounted(device, raw.with_suffix(".mount")) as top:
            root = top / subvolume
            if subvolume:
                tool("btrfs", "subvolume", "create", root)
            place = root / directory
            place.mkdir(parents=True)
            (place / "grub.cfg").write_text(MENU.format(subvolume=f"/{subvolume}" if subvolume else ""))
            (root / "boot/vmlinuz-1").write_bytes(KERNEL)
    return raw


@pytest.mark.parametrize(
    ("subvolume", "directory", "label"),
    [
        ("", "boot/grub", ""),
        ("@", "boot/grub", ""),
        ("@", "boot/grub", "cloud root"),
        ("@rootfs", "boot/grub", ""),
        ("root", "boot/grub2", "fedora"),
    ],
)
def test_the_menu_and_its_kernel_are_found(
    tmp_path: Path, subvolume: str, directory: str, label: str
) -> None:
    raw = gpt_image(tmp_path / "image.raw", size=IMAGE_SIZE, esp=False)
    found = found_in(with_btrfs_root(raw, subvolume=subvolume, directory=directory, label=label))
    root = f"/{subvolume}" if subvolume else ""
    assert found.menu.file_system.kind == "btrfs"
    assert found.menu.directory == f"{root}/{directory}"
    assert found.kernel == (f"{root}/boot/vmlinuz-1", KERNEL)
    config = hand_over_config(found.menu)
    uuid = tool("blkid", "-p", "-O", str(ROOT_START), "-s", "UUID", "-o", "value", raw).strip()
    assert f"--set=root {uuid}\nset prefix=($root){root}/{directory}\n".encode() in config
    subprocess.run(["grub-script-check"], input=config, check=True)


def test_a_menu_with_paths_for_another_grub_is_left_alone(tmp_path: Path) -> None:
    """openSUSE's: its kernels are named from the default subvolume, where the added GRUB does not look."""
    raw = gpt_image(tmp_path / "image.raw", size=IMAGE_SIZE, esp=False)
    with_btrfs_root(raw, subvolume="@", directory="boot/grub2")
    with pytest.raises(NotBootable) as caught:
        found_in(raw)
    assert "No grub.cfg was found" in caught.value.detail


def looked_for(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    paths: list[str] = []
    monkeypatch.setattr(grub_look, "_content", lambda _fd, path: paths.append(path))
    return paths


@pytest.mark.parametrize(("kind", "runs"), [("btrfs", 7), ("ext*", 4), ("xfs", 4)])
def test_subvolumes_are_looked_into_on_btrfs_only(
    monkeypatch: pytest.MonkeyPatch, kind: str, runs: int
) -> None:
    paths = looked_for(monkeypatch)
    assert list(menus(0, [GrubFileSystem(device="loop0,gpt1", kind=kind, uuid="a")])) == []
    assert len(paths) == runs
    assert ("(loop0,gpt1)/@/boot/grub/grub.cfg" in paths) is (kind == "btrfs")


def test_the_time_is_bounded_within_a_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = looked_for(monkeypatch)
    clock = itertools.count(step=100)
    monkeypatch.setattr(grub_look, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with pytest.raises(CommandTimedOut, match="takes too long"):
        list(menus(0, [GrubFileSystem(device="loop0,gpt1", kind="btrfs", uuid="a")]))
    assert len(paths) == 1
