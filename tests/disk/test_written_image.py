"""What was written is shown to other programs as the image, although its first MiB is not on the disk yet."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.fetch.spool import Spool
from agent.images.image import Image
from agent.images.open_image import open_image
from agent.images.raw_view import raw_view
from agent.images.written_image import overlay, written_image
from agent.request.model import ImageType
from agent.writing.write_image import write_image
from partitioning.held_head import HEAD_SIZE, HeldHead
from partitioning.open_disk import open_exclusively
from tests.disk.conftest import MakeLoop
from tests.small_images import MIB, gpt_image, random_file, tool

SIZE = 64 * MIB + 512


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = gpt_image(tmp_path_factory.mktemp("written") / "image.raw", size=64 * MIB)
    return path.read_bytes() + b"tail".ljust(512, b"\0")


@contextmanager
def as_written(content: bytes, disk: Path) -> Iterator[Image]:
    with Spool() as spool, open_exclusively(disk) as target:
        spool.append(content)
        image, held = open_image(spool, ImageType.RAW), HeldHead(target)
        size = write_image(image, target, held, lambda *_: None)
        with written_image(image, size, target, held) as written:
            yield written


@pytest.mark.parametrize("kind", ["file", "loop"])
def test_the_whole_image_is_seen(content: bytes, tmp_path: Path, make_loop: MakeLoop, kind: str) -> None:
    path = random_file(tmp_path / "disk", 80 * MIB)
    disk = make_loop(path) if kind == "loop" else path
    with as_written(content, disk) as image:
        assert image.virtual_size == SIZE
        assert image.reader.pread(SIZE, 0) == content
        with raw_view(image) as fd:
            seen = b"".join(iter(lambda: os.read(fd, 4 * MIB), b""))
    assert seen == content
    assert path.read_bytes()[:HEAD_SIZE] != content[:HEAD_SIZE]


@pytest.mark.parametrize("size", [512, 65536, HEAD_SIZE, HEAD_SIZE + 512, 3 << 40])
def test_a_sound_file_with_the_head(tmp_path: Path, size: int) -> None:
    path, head = tmp_path / "head.qcow2", os.urandom(min(HEAD_SIZE, size))
    path.write_bytes(overlay(size, head))
    assert "No errors were found" in tool("qemu-img", "check", path)
    assert f'"virtual-size": {size}' in tool("qemu-img", "info", "--output=json", path)
    tool(
        "qemu-img",
        "dd",
        "-f",
        "qcow2",
        "-O",
        "raw",
        "bs=512",
        f"count={len(head) // 512}",
        f"if={path}",
        f"of={path}.raw",
    )
    assert path.with_suffix(".qcow2.raw").read_bytes() == head
