"""What holds for whatever the readers of images are given; the fuzzer and the test of its corpus come here.

An input is a finding when anything but a documented error is raised, and when what is read of it differs:
the pieces of an image have each byte of it exactly once, whether the file is all there or comes bit by bit,
and the reader says the same at any offset.
"""

import random
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from agent.errors import Refused
from agent.fetch.errors import ReadAgain, TooBigForMemory
from agent.fetch.spool import Spool
from agent.fetch.stream_spool import StreamSpool
from agent.images import arriving, raw_pieces
from agent.images.errors import BadFormat, ImageLargerThanDisk, UnsafeImage
from agent.images.image import Image
from agent.images.ova import passing
from agent.images.packed import unpack
from agent.images.pieces import DataPiece, Piece, ZeroPiece
from agent.images.qcow2 import walk as qcow2_walk
from agent.images.vmdk import arriving as vmdk_arriving
from agent.images.vmdk import walk as vmdk_walk
from agent.writing.pipeline import write_pieces
from partitioning.byte_access import ByteReader, NotThereYet
from partitioning.errors import ExplainedError
from tests.fuzz.sparse_disk import SparseDisk
from tests.fuzz.subject import Agreement, Arrival, Subject

LARGEST_DISK = 64 << 30
"""Bytes. An image is compared with the disk before it is read: what claims more is not walked."""

_DOCUMENTED = (BadFormat, UnsafeImage, ReadAgain, ImageLargerThanDisk)
_WHILE_IT_COMES = (*_DOCUMENTED, Refused, TooBigForMemory)
_SMALL_PIECE = 4096
_SMALL_PACKED_PIECE = 1000
_POLL = 0.001
_UNDER_WAY = 3
_PLACES = 12
_MOST_AT_ONCE = 64 << 10
_JOIN_SECONDS = 30.0
_LOOKED_AT = 34 * 512


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an image: what it reads as, or the error that it was refused with."""

    disk: SparseDisk | None
    error: ExplainedError | None


def check(subject: Subject, data: bytes) -> Outcome:
    """Read ``data`` in every way there is, and compare. Whatever it raises is a defect."""
    chance = random.Random(zlib.crc32(data))
    with _small_pieces(chance.random() < 0.7):
        outcome = _whole(subject, data, under_way=0)
        if outcome.disk is not None:
            later = _whole(subject, data, under_way=_UNDER_WAY)
            assert later.error is None, f"pieces that are read later: {later.error}"
            assert later.disk == outcome.disk
        _look_around(subject, data, outcome, chance)
        subject.judge(data, outcome.disk, outcome.error)
        _compare(subject.agreement(data), outcome, *_arriving(subject, data, chance))
    return outcome


@contextmanager
def _small_pieces(wanted: bool) -> Iterator[None]:
    """Let small files be as many pieces as large ones are."""
    if not wanted:
        yield
        return
    with (
        mock.patch.object(qcow2_walk, "MOST_BYTES", _SMALL_PIECE),
        mock.patch.object(vmdk_walk, "MOST_BYTES", _SMALL_PIECE),
        mock.patch.object(vmdk_arriving, "MOST_BYTES", _SMALL_PIECE),
        mock.patch.object(raw_pieces, "MOST_BYTES", _SMALL_PIECE),
        mock.patch.object(unpack, "PIECE", _SMALL_PIECE),
        mock.patch.object(unpack, "_PACKED_PIECE", _SMALL_PACKED_PIECE),
    ):
        yield


def _whole(subject: Subject, data: bytes, *, under_way: int) -> Outcome:
    """Read a file that is all there; ``under_way`` pieces wait to be read, as they do for threads."""
    disk = None
    with Spool() as spool, ExitStack() as stack:
        spool.append(data)
        try:
            image = subject.open(spool, stack)
            _require_sound(image)
            if _size(image) <= LARGEST_DISK:
                disk = SparseDisk(_size(image))
                _pour(image.pieces(), disk, under_way)
                disk.require_complete()
        except _DOCUMENTED as error:
            return Outcome(None, _explained(error))
    return Outcome(disk, None)


def _require_sound(image: Image) -> None:
    assert _size(image) > 0
    assert _size(image) % 512 == 0
    assert image.reader.size == _size(image)


def _pour(pieces: Iterator[Piece], disk: SparseDisk, under_way: int) -> None:
    waiting: deque[DataPiece] = deque()
    for piece in pieces:
        if isinstance(piece, ZeroPiece):
            disk.zero(piece.offset, piece.length)
        else:
            waiting.append(piece)
        if len(waiting) > under_way:
            _take(waiting.popleft(), disk)
    for piece in waiting:
        _take(piece, disk)


def _take(piece: DataPiece, disk: SparseDisk) -> None:
    length = 0
    for part in piece.runs():
        length += part.length
        if isinstance(part, ZeroPiece):
            disk.zero(part.offset, part.length)
        else:
            disk.pwritev(list(part.buffers), part.offset)
    assert length == piece.length
    piece.done()


def _look_around(subject: Subject, data: bytes, outcome: Outcome, chance: random.Random) -> None:
    """Read the image at some offsets; where all of it could be read before, that has to be the same."""
    with Spool() as spool, ExitStack() as stack:
        spool.append(data)
        try:
            reader = subject.open(spool, stack).reader
        except _DOCUMENTED as error:
            assert outcome.disk is None, f"opened once, but not twice: {error}"
            return
        for offset, length in _places(reader.size, outcome.disk, chance):
            found = _read(reader, length, offset)
            if outcome.disk is not None:
                assert found == outcome.disk.pread(length, offset), f"the reader differs at {offset}"


def _places(size: int, disk: SparseDisk | None, chance: random.Random) -> Iterator[tuple[int, int]]:
    starts = [0, size - 1] + [chance.randrange(size) for _ in range(_PLACES)]
    if disk is not None and disk.data:
        starts += [max(0, chance.choice(disk.data)[0] - chance.choice((0, 1, 511))) for _ in range(_PLACES)]
    for start in starts:
        yield start, min(size - start, chance.choice((1, 512, 4096, _MOST_AT_ONCE)))


def _read(reader: ByteReader, length: int, offset: int) -> bytes | None:
    try:
        found = reader.pread(length, offset)
    except BadFormat as error:
        _explained(error)
        return None
    assert len(found) == length
    return found


def _arriving(subject: Subject, data: bytes, chance: random.Random) -> tuple[Outcome, bool]:
    """Read a file while it comes; tell also whether there was room for all of it."""
    window = chance.choice((8 << 10, 16 << 10, 64 << 10, 1 << 20))
    chunk = chance.randrange(1 + window // 64, window // 4)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(passing, "_POLL", _POLL))
        arrival = subject.arrive(stack, window, len(data))
        if chance.random() < 0.5:
            arrival.file.announce(len(data))
        feeder = threading.Thread(target=_feed, args=(arrival.file, data, chunk), daemon=True)
        feeder.start()
        try:
            outcome = _poured(arrival, data)
        except _WHILE_IT_COMES as error:
            outcome = Outcome(None, _explained(error))
    feeder.join(_JOIN_SECONDS)
    assert not feeder.is_alive(), "who brings the file waits for ever"
    return outcome, window > len(data) + chunk or not arrival.needs_room


def _feed(spool: StreamSpool, data: bytes, chunk: int) -> None:
    try:
        for at in range(0, len(data), chunk):
            spool.append(data[at : at + chunk])
        spool.finish()
    except BaseException as error:
        # As the download does; where nobody wants the rest, nobody waits for this.
        spool.fail(error)


def _poured(arrival: Arrival, data: bytes) -> Outcome:
    with mock.patch.object(arriving, "FIRST_BYTES", _looked_at_first(data)):
        image = arrival.open()
    head = _head(image)
    if image.virtual_size is not None and _size(image) > LARGEST_DISK:
        return Outcome(None, None)
    disk = SparseDisk(LARGEST_DISK if image.virtual_size is None else _size(image))
    write_pieces(image.pieces(), disk, path=Path("disk"), on_written=lambda _: None)
    disk.size = arrival.size() or disk.size
    disk.require_complete()
    _drain(arrival.file)
    assert arrival.file.arrived == len(data)
    arrival.complete()
    assert head is None or head == disk.pread(len(head), 0), "what comes is not what was seen of it"
    return Outcome(disk, None)


def _head(image: Image) -> bytes | None:
    """Look at the beginning, as is done for the partition table; None where that has to wait."""
    length = _LOOKED_AT
    if image.virtual_size is not None:
        _require_sound(image)
        length = min(_size(image), _LOOKED_AT)
    with suppress(NotThereYet, EOFError):
        return _read(image.reader, length, 0)
    return None


def _looked_at_first(data: bytes) -> int:
    """How much is looked at first: so little of a small file that the rest of it still has to come."""
    bits = int.from_bytes(data[20:24], "big") if data.startswith(b"QFI\xfb") else 0
    return 1 << min(16, max(9, bits))


def _drain(spool: StreamSpool) -> None:
    at = 0
    while (end := spool.come(at + _MOST_AT_ONCE)) > at:
        spool.release(at, end)
        at = end


def _compare(agreement: Agreement, whole: Outcome, came: Outcome, had_room: bool) -> None:
    if isinstance(came.error, TooBigForMemory):
        assert not had_room, f"there was room for all of it: {came.error}"
    elif agreement is Agreement.WHOLE_ONLY:
        assert came.error is not None, "used while it comes, though it is of another kind"
        assert whole.disk is None or isinstance(came.error, Refused), (
            f"refused for something else: {came.error}"
        )
    elif agreement is Agreement.SAME or came.disk is not None:
        _require_same(whole, came)


def _require_same(whole: Outcome, came: Outcome) -> None:
    if whole.disk is not None:
        assert came.error is None, f"sound when it is all there, but not while it comes: {came.error}"
        assert came.disk == whole.disk, "what came reads as something else"
    elif came.disk is not None:
        # Bytes that are named twice can be read twice, as long as they were not given back.
        assert isinstance(whole.error, ReadAgain), f"used while it comes, though: {whole.error}"


def _size(image: Image) -> int:
    assert image.virtual_size is not None
    return image.virtual_size


def _explained(error: ExplainedError) -> ExplainedError:
    assert error.message
    assert error.detail
    assert error.hint
    return error
