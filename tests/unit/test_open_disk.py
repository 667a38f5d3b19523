import ctypes
import errno
import fcntl
import logging
import os
import random
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning import open_disk as module
from partitioning import zeroing
from partitioning.byte_access import ByteReader, BytesReader, RangeReader
from partitioning.errors import (
    DiskBusy,
    DiskNotFound,
    DiskReadError,
    DiskUnsuitable,
    DiskWriteError,
    ExplainedError,
)
from partitioning.old_partitions import old_partitions
from partitioning.open_disk import OpenDisk, open_exclusively, open_for_reading
from partitioning.reread_partitions import reread_partitions
from tests.table_samples import Part, gpt_disk, mbr

Opening = Callable[..., AbstractContextManager[OpenDisk]]
SIZE = 64 << 10
CONTENT = random.Random(1).randbytes(SIZE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "disk"
    found.write_bytes(CONTENT)
    return found


@pytest.fixture
def disk(path: Path) -> Iterator[OpenDisk]:
    with open_exclusively(path) as opened:
        yield opened


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCK_WAIT", 0.05)
    monkeypatch.setattr(module, "_LOCK_POLL", 0.002)


@contextmanager
def error_of(kind: type[ExplainedError], message: str, detail: str) -> Iterator[None]:
    """The block raises ``kind``, with these words in its message and in its detail."""
    with pytest.raises(kind) as caught:
        yield
    assert message in caught.value.message
    assert detail in caught.value.detail
    assert caught.value.hint


# Reading and writing.


def test_a_file_is_a_disk(disk: OpenDisk, path: Path) -> None:
    assert (disk.path, disk.size, disk.sector_size, disk.is_block_device) == (path, SIZE, 512, False)
    assert disk.pread(SIZE, 0) == CONTENT
    assert disk.pread(3, 1000) == CONTENT[1000:1003]
    assert disk.pread(1, 1000) == CONTENT[1000:1001]
    assert disk.pread(0, SIZE) == b""


def test_what_is_written_is_read(disk: OpenDisk, path: Path) -> None:
    disk.pwrite(b"abc", SIZE - 3)
    disk.pwrite(b"", SIZE)
    disk.flush()
    disk.drop_cache()
    assert disk.pread(4, SIZE - 4) == CONTENT[-4:-3] + b"abc"
    assert path.read_bytes() == CONTENT[:-3] + b"abc"


@pytest.mark.parametrize(("length", "offset"), [(1, SIZE), (2, SIZE - 1), (1, -1), (-1, 5), (SIZE + 1, 0)])
def test_reading_outside_of_the_disk(disk: OpenDisk, length: int, offset: int) -> None:
    with error_of(DiskReadError, f"Reading from {disk.path} failed.", f"At byte {offset}: "):
        disk.pread(length, offset)


@pytest.mark.parametrize(("length", "offset"), [(1, SIZE), (2, SIZE - 1), (1, -1), (SIZE + 1, 0)])
def test_writing_outside_of_the_disk(disk: OpenDisk, path: Path, length: int, offset: int) -> None:
    with error_of(DiskWriteError, f"Writing to {disk.path} failed.", f"At byte {offset}: "):
        disk.pwrite(bytes(length), offset)
    with error_of(DiskWriteError, f"Writing to {disk.path} failed.", f"At byte {offset}: "):
        disk.zero(offset, length)
    with error_of(DiskWriteError, "Writing to", "past the end"):
        disk.zero(0, -1)
    assert path.read_bytes() == CONTENT


def test_a_disk_that_became_shorter(disk: OpenDisk, path: Path) -> None:
    os.truncate(path, 1000)
    with error_of(DiskReadError, "Reading from", "At byte 1000: it ends there."):
        disk.pread(SIZE, 0)


def test_calls_that_do_only_a_part(disk: OpenDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pread, os.pwrite
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: read(fd, min(length, 7), offset))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: write(fd, data[:5], offset))
    disk.pwrite(b"0123456789ab", 100)
    assert disk.pread(30, 90) == CONTENT[90:100] + b"0123456789ab" + CONTENT[112:120]


def fail(*_: object) -> int:
    raise OSError(errno.EIO, "Input/output error")


def test_errors_of_the_kernel(disk: OpenDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pread", "pwrite", "pwritev", "fsync"):
        monkeypatch.setattr(os, name, fail)
    monkeypatch.setattr(module, "punch_zeroes", fail)
    with error_of(DiskReadError, "Reading from", "At byte 512: Input/output error."):
        disk.pread(10, 512)
    with error_of(DiskWriteError, "Writing to", "At byte 512: Input/output error."):
        disk.pwrite(b"x", 512)
    with error_of(DiskWriteError, "Writing to", "At byte 1024: Input/output error."):
        disk.zero(1000, 5000)
    with error_of(DiskWriteError, "Writing to", "reported at flush: Input/output error."):
        disk.flush()


# Zeroing.


@pytest.fixture(params=["punched", "written"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a file system that can punch holes, and with one that can not."""
    if request.param == "written":
        monkeypatch.setattr(module, "punch_zeroes", lambda *_: False)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, SIZE),
        (0, 0),
        (SIZE, 0),
        (0, 1),
        (511, 2),
        (1, 510),
        (512, 512),
        (100, 512),
        (700, 10_000),
        (SIZE - 1, 1),
        (SIZE - 5000, 5000),
    ],
)
def test_zeroing(disk: OpenDisk, path: Path, offset: int, length: int) -> None:
    disk.zero(offset, length)
    assert path.read_bytes() == CONTENT[:offset] + bytes(length) + CONTENT[offset + length :]


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from([512, 4096]), st.booleans())
def test_zeroing_anywhere(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, sector: int, punch: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "zeroed-anywhere"
    path.write_bytes(CONTENT)
    offset = data.draw(st.integers(0, SIZE))
    length = data.draw(st.integers(0, SIZE - offset))
    with pytest.MonkeyPatch.context() as patch, open_exclusively(path, sector_size=sector) as disk:
        if not punch:
            patch.setattr(module, "punch_zeroes", lambda *_: False)
        patch.setattr(module, "_ZERO_PIECE", 3000)
        disk.zero(offset, length)
    assert path.read_bytes() == CONTENT[:offset] + bytes(length) + CONTENT[offset + length :]


def test_only_whole_sectors_are_punched(disk: OpenDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    punched: list[tuple[int, int]] = []
    written: list[tuple[int, int]] = []

    def punch(_fd: int, offset: int, length: int) -> bool:
        punched.append((offset, length))
        return True

    monkeypatch.setattr(module, "punch_zeroes", punch)
    monkeypatch.setattr(disk, "pwritev", lambda data, offset: written.append((offset, len(data[0]))))
    disk.zero(1000, 10_000)
    assert punched == [(1024, 9728)]
    assert written == [(1000, 24), (10752, 248)]


def test_punching_takes_no_room(path: Path, disk: OpenDisk) -> None:
    assert zeroing.punch_zeroes(disk.fd, 0, SIZE)
    assert path.stat().st_size == SIZE
    assert path.stat().st_blocks == 0


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENODEV, errno.ENOSYS, errno.EINVAL])
def test_where_holes_can_not_be_punched(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(zeroing._libc, "fallocate", lambda *_: -1)
    monkeypatch.setattr(ctypes, "get_errno", lambda: code)
    assert zeroing.punch_zeroes(-1, 0, 512) is False


def test_punching_that_is_interrupted_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([errno.EINTR, errno.EINTR, errno.EIO])
    monkeypatch.setattr(zeroing._libc, "fallocate", lambda *_: -1)
    monkeypatch.setattr(ctypes, "get_errno", lambda: next(answers))
    with pytest.raises(OSError, match="Input/output error"):
        zeroing.punch_zeroes(-1, 0, 512)


def test_a_descriptor_that_is_read_only_can_not_be_punched(path: Path) -> None:
    with path.open("rb") as file, pytest.raises(OSError, match="Bad file descriptor"):
        zeroing.punch_zeroes(file.fileno(), 0, 512)


# Opening.


@pytest.mark.parametrize("opening", [open_exclusively, open_for_reading])
def test_what_can_not_be_opened(opening: Opening, tmp_path: Path) -> None:
    with (
        error_of(DiskNotFound, f"There is no disk at {tmp_path}/none.", "No such file"),
        opening(tmp_path / "none"),
    ):
        pass
    with error_of(DiskUnsuitable, f"{tmp_path} is not a disk.", "neither"), opening(tmp_path):
        pass
    with error_of(DiskUnsuitable, "/dev/null is not a disk.", "neither"), opening(Path("/dev/null")):
        pass


@pytest.mark.parametrize("opening", [open_exclusively, open_for_reading])
@pytest.mark.parametrize(("size", "sector"), [(0, 512), (513, 512), (6144, 4096)])
def test_files_of_an_odd_size(opening: Opening, path: Path, size: int, sector: int) -> None:
    os.truncate(path, size)
    with (
        error_of(DiskUnsuitable, "can not serve as a disk", f"{size} bytes"),
        opening(path, sector_size=sector),
    ):
        pass


def test_sectors_of_4096_bytes(path: Path) -> None:
    with open_exclusively(path, sector_size=4096) as disk:
        assert disk.sector_size == 4096


@pytest.mark.parametrize("opening", [open_exclusively, open_for_reading])
def test_the_descriptor_is_closed(opening: Opening, path: Path) -> None:
    with pytest.raises(ZeroDivisionError), opening(path) as disk:
        raise ZeroDivisionError
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(disk.fd)


def test_a_disk_opened_for_reading_can_not_be_written(path: Path) -> None:
    with open_for_reading(path) as disk:
        assert disk.pread(10, 0) == CONTENT[:10]
        with error_of(DiskWriteError, "Writing to", "Bad file descriptor"):
            disk.pwrite(b"x", 0)


def test_a_disk_is_opened_by_one_only(path: Path) -> None:
    with (
        open_exclusively(path),
        error_of(DiskBusy, f"The disk {path} is in use.", "locked (flock)"),
        open_exclusively(path),
    ):
        pass
    with open_exclusively(path):
        pass


def test_a_disk_that_is_locked_for_a_moment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCK_WAIT", 10)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        udev = threading.Timer(0.02, fcntl.flock, (file, fcntl.LOCK_UN))
        udev.start()
        with open_exclusively(path) as disk:
            assert disk.size == SIZE
        udev.join()


def test_a_file_that_somebody_works_on_is_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCK_WAIT", 1000)
    monkeypatch.setattr(module, "_FILE_LOCK_WAIT", 0.05)
    with (
        open_exclusively(path),
        error_of(DiskBusy, "is in use", "Another process has kept it locked"),
        open_exclusively(path),
    ):
        pass


def opening_that_is_busy(times: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the kernel refuse ``times`` times; gives the flags it was asked with."""
    asked: list[int] = []
    real = os.open

    def busy(path: Path, flags: int) -> int:
        asked.append(flags)
        if len(asked) <= times:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return real(path, flags)

    monkeypatch.setattr(os, "open", busy)
    return asked


def test_a_disk_that_is_looked_at_for_a_moment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCK_WAIT", 10)
    asked = opening_that_is_busy(3, monkeypatch)
    with open_exclusively(path) as disk:
        assert disk.size == SIZE
    assert len(asked) == 4


def test_a_disk_that_stays_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = opening_that_is_busy(1_000_000, monkeypatch)
    with error_of(DiskBusy, "is in use", "could not be opened exclusively"), open_exclusively(path):
        pass
    assert len(asked) > 1


def test_a_disk_that_may_not_be_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with (
        error_of(DiskUnsuitable, f"The disk {path} can not be opened.", "Permission denied."),
        open_exclusively(path),
    ):
        pass


def as_block_device(monkeypatch: pytest.MonkeyPatch, *, read_only: bool) -> None:
    """Let files pass for block devices."""
    monkeypatch.setattr(module, "_ioctl_int", lambda _fd, _request: int(read_only))
    monkeypatch.setattr(module, "_flush_buffers", lambda _fd: None)
    monkeypatch.setattr(
        module,
        "_describe",
        lambda path, fd, _sector: OpenDisk(path, fd, size=SIZE, sector_size=512, is_block_device=True),
    )


def test_a_read_only_device_can_only_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_block_device(monkeypatch, read_only=True)
    with open_for_reading(path) as disk:
        assert disk.pread(10, 0) == CONTENT[:10]
    with error_of(DiskUnsuitable, f"The disk {path} is read-only.", "read-only"), open_exclusively(path):
        pass
    as_block_device(monkeypatch, read_only=False)
    with open_exclusively(path) as disk:
        assert disk.is_block_device


def test_what_could_not_be_read_back_is_refused_at_opening(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_fd: int) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    as_block_device(monkeypatch, read_only=False)
    monkeypatch.setattr(module, "_flush_buffers", refuse)
    with error_of(DiskUnsuitable, "can not be checked", "CAP_SYS_ADMIN"), open_exclusively(path):
        pass
    with open_for_reading(path) as disk:
        assert disk.pread(10, 0) == CONTENT[:10]
    monkeypatch.setattr(module, "_flush_buffers", fail)
    with error_of(DiskUnsuitable, "can not be opened", "Input/output error."), open_exclusively(path):
        pass


def test_a_cache_that_can_not_be_dropped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_block_device(monkeypatch, read_only=False)
    with open_exclusively(path) as disk:
        monkeypatch.setattr(module, "_flush_buffers", fail)
        with error_of(DiskWriteError, "could not be dropped", "Input/output error."):
            disk.drop_cache()


def test_flushing_tells_of_its_progress(disk: OpenDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partitioning.flushing._POLL", 0.001)
    told = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _fd: None if told.wait(10) else fail())
    disk.flush(lambda _done, _total: told.set())
    assert told.is_set()


@pytest.mark.parametrize("sort", [fcntl.F_RDLCK, fcntl.F_WRLCK])
def test_a_file_that_a_virtual_machine_has_locked(path: Path, sort: int) -> None:
    with path.open("r+b") as image:
        # A byte of QEMU's, beyond the end of a small file.
        lock = struct.pack("hhqqi4x", sort, os.SEEK_SET, 201 + SIZE, 1, 0)
        fcntl.fcntl(image, fcntl.F_OFD_SETLK, lock)
        with error_of(DiskBusy, f"The disk {path} is in use.", "virtual machine"), open_exclusively(path):
            pass
    with open_exclusively(path) as disk:
        assert disk.pread(SIZE, 0) == CONTENT


def test_a_virtual_machine_finds_the_disk_locked(path: Path) -> None:
    with open_exclusively(path), path.open("r+b") as image:
        lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 201, 1, 0)
        with pytest.raises(BlockingIOError):
            fcntl.fcntl(image, fcntl.F_OFD_SETLK, lock)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EINVAL])
def test_a_file_system_without_locks_of_that_sort(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, "no locks")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with open_exclusively(path) as disk:
        assert disk.size == SIZE


def test_a_refusal_to_read_the_table_again_is_only_logged(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "partitioning"), open_exclusively(path) as disk:
        reread_partitions(disk)
        assert caplog.text == ""
    as_block_device(monkeypatch, read_only=False)
    with caplog.at_level(logging.INFO, "partitioning"), open_exclusively(path) as disk:
        reread_partitions(disk)
    assert "did not read the table again: Inappropriate ioctl" in caplog.text


# What a disk held before, and readers over bytes.


@pytest.mark.parametrize("sector", [512, 4096])
def test_old_partitions_in_whichever_sectors_they_count(path: Path, sector: int) -> None:
    path.write_bytes(gpt_disk(256, [Part(40, 99), Part(100, 199)], sector_size=sector))
    with open_exclusively(path) as disk:
        assert old_partitions(disk) == ((40 * sector, 60 * sector), (100 * sector, 100 * sector))


def test_of_a_table_without_end_the_first_partitions_count(path: Path) -> None:
    parts = [Part(400 + n, 400 + n) for n in range(1000)]
    path.write_bytes(gpt_disk(2048, parts, count=1024))
    with open_exclusively(path) as disk:
        assert old_partitions(disk) == tuple(((400 + n) * 512, 512) for n in range(256))


def test_the_partitions_the_kernel_knows_come_before_those_of_a_table(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partitioning.old_partitions.kernel_partitions", lambda _disk, roots: ((9, 9),))
    monkeypatch.setattr("partitioning.old_partitions.MOST", 2)
    path.write_bytes(gpt_disk(256, [Part(40, 99), Part(100, 199)]))
    with open_exclusively(path) as disk:
        assert old_partitions(disk) == ((9, 9), (40 * 512, 60 * 512))


@pytest.mark.parametrize("content", [bytes(SIZE), CONTENT, mbr([(0, 0x83, 1, 1 << 30)]).ljust(SIZE, b"\0")])
def test_where_no_table_can_be_read_there_are_none(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with open_exclusively(path) as disk:
        assert old_partitions(disk) == ()


@settings(deadline=None, max_examples=100)
@given(
    st.binary(max_size=30), st.integers(-5, 40), st.integers(-5, 40), st.integers(0, 15), st.integers(0, 15)
)
def test_readers_give_what_is_there_or_nothing(
    data: bytes, length: int, offset: int, start: int, size: int
) -> None:
    start, size = min(start, len(data)), min(size, len(data) - min(start, len(data)))
    readers: list[tuple[ByteReader, bytes]] = [
        (BytesReader(data), data),
        (RangeReader(BytesReader(data), start, size), data[start : start + size]),
    ]
    for reader, content in readers:
        assert reader.size == len(content)
        if min(offset, length) >= 0 and offset + length <= len(content):
            assert reader.pread(length, offset) == content[offset : offset + length]
        else:
            with pytest.raises(EOFError):
                reader.pread(length, offset)
