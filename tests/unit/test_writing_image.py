import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.errors import ContentsDiffer
from agent.images import qemu_img
from agent.images.image import Image, qcow2_image
from agent.writing.write_image import compare_body, hold_head, write_body
from partitioning.command import CommandFailed, Completed
from partitioning.held_head import HEAD_SIZE, HeldHead
from partitioning.open_disk import OpenDisk, open_exclusively
from tests.small_images import put, qcow2, sparse_pattern
from tests.unit.test_images_common import MIB, image_of

SIZE = 3 * MIB + 512
CONTENT = sparse_pattern(SIZE, 7)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("writing") / "image.raw"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(scope="module")
def compressed(raw: Path) -> Path:
    return qcow2(raw, "-c")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(os.urandom(4 * MIB))
    return path


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """The image at ``path``, raw or qcow2."""
    with path.open("rb") as file:
        if path.suffix == ".qcow2":
            yield qcow2_image(fd=file.fileno(), file_size=path.stat().st_size, virtual_size=SIZE)
        else:
            yield image_of(path.read_bytes(), fd=file.fileno())


@pytest.fixture(params=["raw", "qcow2"])
def image(request: pytest.FixtureRequest, raw: Path, compressed: Path) -> Iterator[Image]:
    with opened(compressed if request.param == "qcow2" else raw) as found:
        yield found


def test_the_body_first_and_the_head_later(image: Image, disk: Path) -> None:
    before, told = disk.read_bytes(), []
    with open_exclusively(disk) as target:
        write_body(image, target, lambda done, total: told.append((done, total)))
        assert disk.read_bytes() == before[:HEAD_SIZE] + CONTENT[HEAD_SIZE:] + before[SIZE:]
        held = HeldHead(target)
        hold_head(image, held)
        assert disk.read_bytes()[:HEAD_SIZE] == before[:HEAD_SIZE]
        held.commit()
    assert disk.read_bytes() == CONTENT + before[SIZE:]
    assert told[-1] == (SIZE - HEAD_SIZE, SIZE - HEAD_SIZE)
    assert told == sorted(told)


@pytest.mark.parametrize("offset", [HEAD_SIZE, 2 * MIB, SIZE - 1])
def test_a_byte_that_differs_is_found(image: Image, disk: Path, offset: int) -> None:
    with open_exclusively(disk) as target:
        write_body(image, target, lambda *_: None)
        compare_body(image, target, lambda *_: None)
        put(disk, offset, bytes([CONTENT[offset] ^ 1]))
        with pytest.raises(ContentsDiffer) as caught:
            compare_body(image, target, lambda *_: None)
    assert caught.value.message == f"What is read from {disk} is not what was written."
    assert str(SIZE) in caught.value.detail


def test_the_disk_is_compared_and_not_the_cache(
    image: Image, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real = qemu_img.same

    def same(source: qemu_img.Source, target: qemu_img.Target, told: Callable[[int], None]) -> bool:
        done.append("compare")
        return real(source, target, told)

    monkeypatch.setattr(OpenDisk, "drop_cache", lambda _disk: done.append("drop"))
    monkeypatch.setattr(qemu_img, "same", same)
    with open_exclusively(disk) as target:
        write_body(image, target, lambda *_: None)
        compare_body(image, target, lambda *_: None)
    assert done == ["drop", "compare"]


def test_what_is_behind_or_before_the_body_is_not_compared(image: Image, disk: Path) -> None:
    with open_exclusively(disk) as target:
        write_body(image, target, lambda *_: None)
        put(disk, 0, b"other")
        put(disk, SIZE, b"other")
        compare_body(image, target, lambda *_: None)


@pytest.mark.parametrize("size", [512, HEAD_SIZE])
def test_an_image_that_is_all_head(disk: Path, size: int) -> None:
    before, image = disk.read_bytes(), image_of(CONTENT[:size])
    with open_exclusively(disk) as target:
        write_body(image, target, lambda *_: None)
        compare_body(image, target, lambda *_: None)
        held = HeldHead(target)
        hold_head(image, held)
        held.commit()
    assert disk.read_bytes() == CONTENT[:size].ljust(HEAD_SIZE, b"\0") + before[HEAD_SIZE:]


def test_a_disk_that_can_not_be_written(image: Image, disk: Path) -> None:
    with open_exclusively(disk) as target:
        os.truncate(disk, HEAD_SIZE)
        with pytest.raises(CommandFailed, match="The command qemu-img failed"):
            write_body(image, target, lambda *_: None)


def test_progress_as_qemu_img_tells_it(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [
        b"    (0.00/100%)\r",
        b"\r    (37.50/100%)\r    (50.00/100%)\r",
        b"noise",
        b"(99.",
        b"(100.00/100%)\r\n",
    ]

    def run(argv: list[str], **more: object) -> Completed:
        take = more["on_stdout"]
        assert callable(take)
        for piece in pieces:
            take(piece)
        return Completed(code=int("compare" in argv), stdout=b"", stderr="")

    monkeypatch.setattr(qemu_img, "run", run)
    source = qemu_img.Source(format="raw", fd=0, offset=0, length=1000)
    target = qemu_img.Target(fd=0, is_block_device=False, offset=0, length=1000)
    told: list[int] = []
    qemu_img.write_range(source, target, told.append)
    assert told == [0, 500, 1000]
    assert not qemu_img.same(source, target, told.append)
    assert told == [0, 500, 1000] * 2
