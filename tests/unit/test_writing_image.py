import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.errors import ContentsDiffer
from agent.fetch.spool import Spool
from agent.images.image import Image
from agent.images.open_image import open_image
from agent.request.model import ImageType
from agent.writing.write_image import compare, write_image
from agent.writing.written import Written
from partitioning.held_head import HEAD_SIZE, HeldHead
from partitioning.open_disk import OpenDisk, open_exclusively
from tests.small_images import put, qcow2, sparse_pattern
from tests.unit.test_images_common import MIB, image_of

SIZE = 9 * MIB + 512
SIGNED = bytearray(sparse_pattern(SIZE, 7))
SIGNED[510:512] = b"\x55\xaa"
CONTENT = bytes(SIGNED)
FORMS = {
    "raw": None,
    "zlib": ("-c",),
    "zstd": ("-c", "-o", "compression_type=zstd,cluster_size=4k"),
    "plain": ("-o", "cluster_size=2M"),
    "subclusters": ("-o", "extended_l2=on"),
}


@pytest.fixture(scope="module", params=FORMS)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageType, bytes]:
    raw = tmp_path_factory.mktemp("writing") / "image.raw"
    raw.write_bytes(CONTENT)
    options = FORMS[request.param]
    return (
        (ImageType.RAW, CONTENT) if options is None else (ImageType.QCOW2, qcow2(raw, *options).read_bytes())
    )


@pytest.fixture
def image(file: tuple[ImageType, bytes]) -> Iterator[Image]:
    with Spool() as spool:
        spool.append(file[1])
        yield open_image(spool, file[0])


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(os.urandom(10 * MIB))
    return path


@contextmanager
def opened(path: Path) -> Iterator[tuple[OpenDisk, HeldHead]]:
    with open_exclusively(path) as target:
        yield target, HeldHead(target)


def test_the_head_stays_in_memory(image: Image, disk: Path) -> None:
    before, told = disk.read_bytes(), list[tuple[int, int | None]]()
    with opened(disk) as (target, held):
        write_image(image, target, held, lambda done, total: told.append((done, total)))
        assert disk.read_bytes() == before[:HEAD_SIZE] + CONTENT[HEAD_SIZE:] + before[SIZE:]
        held.commit()
    assert disk.read_bytes() == CONTENT + before[SIZE:]
    assert told[-1] == (SIZE, SIZE)
    assert told == sorted(told)


def test_a_disk_that_zeroes_nothing_by_itself(
    image: Image, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partitioning.open_disk.punch_zeroes", lambda *_: False)
    before = disk.read_bytes()
    with opened(disk) as (target, held):
        write_image(image, target, held, lambda *_: None)
        held.commit()
    assert disk.read_bytes() == CONTENT + before[SIZE:]


@pytest.mark.parametrize("offset", [0, HEAD_SIZE, 2 * MIB, CONTENT.index(bytes(MIB)) + 7, SIZE - 1])
def test_a_byte_that_differs_is_found(image: Image, disk: Path, offset: int) -> None:
    with opened(disk) as (target, held):
        written = Written()
        write_image(image, target, held, lambda *_: None, written=written)
        told = list[tuple[int, int | None]]()
        compare(SIZE, target, held, lambda *told_now: told.append(told_now), written)
        assert told[-1] == (SIZE, SIZE)
        if offset < HEAD_SIZE:
            held.pwrite(bytes([CONTENT[offset] ^ 1]), offset)
        else:
            put(disk, offset, bytes([CONTENT[offset] ^ 1]))
        with pytest.raises(ContentsDiffer) as caught:
            compare(SIZE, target, held, lambda *_: None, written)
    assert caught.value.message == f"What is read from {disk} is not what was written."
    words = caught.value.detail.split()
    first, last = int(words[-3]), int(words[-1].rstrip("."))
    assert first <= offset < last


def test_what_is_compared_takes_bounded_memory(image: Image, disk: Path) -> None:
    """An image in little pieces is compared several times while it is written."""
    with opened(disk) as (target, held):
        written = Written(most=2)
        write_image(image, target, held, lambda *_: None, written=written)
        assert written.forgotten + sum(written._notes._lengths) == SIZE
        assert len(written._notes) < 2
        compare(SIZE, target, held, lambda *_: None, written)


def test_a_byte_that_differs_is_found_while_more_is_written(
    image: Image, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flip(target: OpenDisk) -> None:
        put(disk, HEAD_SIZE + 5, bytes([CONTENT[HEAD_SIZE + 5] ^ 1]))

    monkeypatch.setattr(OpenDisk, "drop_cache", flip)
    with opened(disk) as (target, held), pytest.raises(ContentsDiffer):
        written = Written(most=1)
        write_image(image, target, held, lambda *_: None, written=written)
        compare(SIZE, target, held, lambda *_: None, written)


def test_the_disk_is_compared_and_not_the_cache(
    image: Image, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real = OpenDisk.pread

    def pread(self: OpenDisk, length: int, offset: int) -> bytes:
        done.append("read")
        return real(self, length, offset)

    monkeypatch.setattr(OpenDisk, "drop_cache", lambda _disk: done.append("drop"))
    monkeypatch.setattr(OpenDisk, "pread", pread)
    with opened(disk) as (target, held):
        written = Written()
        write_image(image, target, held, lambda *_: None, written=written)
        done.clear()
        compare(SIZE, target, held, lambda *_: None, written)
    assert done[:2] == ["drop", "read"]
    assert done.count("drop") == 1


def test_what_is_behind_the_image_is_not_compared(image: Image, disk: Path) -> None:
    with opened(disk) as (target, held):
        written = Written()
        write_image(image, target, held, lambda *_: None, written=written)
        put(disk, 0, b"other")
        put(disk, SIZE, b"other")
        compare(SIZE, target, held, lambda *_: None, written)


@pytest.mark.parametrize("size", [512, HEAD_SIZE])
def test_an_image_that_is_all_head(disk: Path, size: int) -> None:
    before, image = disk.read_bytes(), image_of(CONTENT[:size])
    with opened(disk) as (target, held):
        written = Written()
        write_image(image, target, held, lambda *_: None, written=written)
        compare(size, target, held, lambda *_: None, written)
        held.commit()
    assert disk.read_bytes() == CONTENT[:size].ljust(HEAD_SIZE, b"\0") + before[HEAD_SIZE:]
