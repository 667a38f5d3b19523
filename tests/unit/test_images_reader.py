import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.images import qemu_img, reader
from agent.images.errors import BadFormat
from agent.images.reader import QemuImgReader
from partitioning import command
from partitioning.command import CommandFailed, CommandMissing, Completed
from tests.small_images import qcow2, sparse_pattern

MIB = 1 << 20
SIZE = 5 * MIB + 512


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader") / "image.raw"
    path.write_bytes(sparse_pattern(SIZE, 3))
    return path


@pytest.fixture(scope="module")
def image(raw: Path) -> Path:
    return qcow2(raw, "-c")


@pytest.fixture
def fd(image: Path) -> Iterator[int]:
    with image.open("rb") as file:
        yield file.fileno()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The pieces (offset, length) that qemu-img was asked for."""
    made: list[tuple[int, int]] = []
    real = qemu_img.read_range

    def read_range(source: qemu_img.Source, into_fd: int) -> None:
        made.append((source.offset, source.length))
        real(source, into_fd)

    monkeypatch.setattr(qemu_img, "read_range", read_range)
    monkeypatch.setattr(reader, "_PIECE", MIB)
    monkeypatch.setattr(reader, "_KEPT", 3)
    return made


def read(fd: int) -> QemuImgReader:
    return QemuImgReader(format_name="qcow2", fd=fd, size=SIZE)


def test_it_reads_what_the_raw_image_holds(raw: Path, fd: int, calls: list[tuple[int, int]]) -> None:
    content, image, chance = raw.read_bytes(), read(fd), random.Random(4)
    assert image.size == SIZE
    assert image.pread(SIZE, 0) == content
    for _ in range(60):
        offset = chance.choice([0, MIB - 3, 2 * MIB, SIZE - 600, chance.randrange(SIZE)])
        length = chance.randrange(min(2000, SIZE - offset + 1))
        assert image.pread(length, offset) == content[offset : offset + length]
    assert image.pread(0, SIZE) == b""


def test_it_keeps_the_last_few_pieces(fd: int, calls: list[tuple[int, int]]) -> None:
    image = read(fd)
    image.pread(MIB + 1, MIB // 2)
    assert calls == [(0, MIB), (MIB, MIB)]
    image.pread(10, 5)
    assert len(calls) == 2
    image.pread(512, 5 * MIB)
    assert calls[2:] == [(5 * MIB, 512)]
    image.pread(10, 2 * MIB)
    image.pread(10, 0)
    assert calls[3:] == [(2 * MIB, MIB)]
    image.pread(10, MIB)
    assert calls[4:] == [(MIB, MIB)]


def test_no_more_than_so_many_pieces(
    fd: int, calls: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_MOST_PIECES", 6)
    image = read(fd)
    image.pread(SIZE, 0)
    with pytest.raises(BadFormat, match="tables are scattered"):
        image.pread(1, MIB)
    # The first piece is needed after the wipe: it is never read again.
    assert len(image.pread(MIB, 0)) == MIB
    assert len(calls) == 6


def test_no_longer_than_so_long(
    fd: int, calls: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_MOST_SECONDS", 0.001)
    image = read(fd)
    image.pread(1, 0)
    with pytest.raises(BadFormat, match="1 places were read in"):
        image.pread(1, MIB)
    assert len(image.pread(MIB, 0)) == MIB


def test_the_tools_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    qemu_img.require_tools()
    monkeypatch.setattr(command, "available", lambda tool: tool != "prlimit")
    with pytest.raises(CommandMissing, match=r"The tool prlimit is not installed\."):
        qemu_img.require_tools()


@pytest.mark.parametrize(("length", "offset"), [(1, SIZE), (2, SIZE - 1), (1, -1), (-1, 5), (SIZE + 1, 0)])
def test_outside_of_the_image(fd: int, length: int, offset: int) -> None:
    with pytest.raises(EOFError, match=f"{length} bytes at {offset} are not within {SIZE} bytes"):
        read(fd).pread(length, offset)


def test_descriptors_are_given_back(fd: int, calls: list[tuple[int, int]]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    read(fd).pread(SIZE, 0)
    with Path("/dev/null").open("rb") as no_image, pytest.raises(CommandFailed):
        read(no_image.fileno()).pread(1, 0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_format_is_never_guessed(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is a name from outside ever given to qemu-img, nor memory without a limit."""
    asked: list[list[str]] = []

    def run(argv: list[str], **more: object) -> Completed:
        asked.append(argv)
        limits = more["limits"]
        assert getattr(limits, "address_space", None) == 2 << 30
        assert more["timeout"]
        return Completed(code=0, stdout=b'{"a": 1}', stderr="")

    monkeypatch.setattr(qemu_img, "run", run)
    source = qemu_img.Source(format="qcow2", fd=fd, offset=512, length=1024)
    target = qemu_img.Target(fd=fd, is_block_device=True, offset=512, length=1024)
    assert qemu_img.info("qcow2", fd) == qemu_img.check("qcow2", fd) == {"a": 1}
    qemu_img.read_range(source, fd)
    qemu_img.write_range(source, target, print)
    assert qemu_img.same(source, target, print)
    for argv in asked:
        assert argv[0] == "qemu-img"
        text = " ".join(argv)
        assert "-f qcow2" in text or "file.driver=qcow2" in text
        names = [word for word in text.replace(",", " ").split() if "/" in word]
        assert names
        assert all(word.endswith(f"/proc/self/fd/{fd}") for word in names)
    written = asked[3]
    assert "--target-is-zero" not in written
    assert "-n" in written
    assert "driver=host_device" in written[-1].replace("file.driver", "driver")


def test_the_words_for_a_window() -> None:
    window = "driver=raw,offset=512,size=1024"
    file = "driver=file,file.filename=/proc/self/fd/7,file.locking=off"
    raw = qemu_img.Source(format="raw", fd=7, offset=512, length=1024)
    assert raw.options() == f"{window},file.{file}"
    inner = "file.file.driver=file,file.file.filename=/proc/self/fd/7,file.file.locking=off"
    compressed = qemu_img.Source(format="qcow2", fd=7, offset=512, length=1024)
    assert compressed.options() == f"{window},file.driver=qcow2,{inner}"
    target = qemu_img.Target(fd=7, is_block_device=False, offset=512, length=1024)
    assert target.options() == f"{window},file.{file}"
