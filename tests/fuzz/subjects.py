"""The readers that are fuzzed, opened as the agent opens them, but for the calls of other programs."""

from contextlib import ExitStack
from dataclasses import replace

from agent.effort import Effort
from agent.fetch.downloaded import FIRST_BYTES
from agent.fetch.spool import Spool
from agent.fetch.stream_spool import StreamSpool
from agent.images import raw_pieces
from agent.images.arriving import ArrivingReader, open_arriving, open_arriving_ova
from agent.images.errors import BadFormat, ImageLargerThanDisk
from agent.images.first_bytes import check_first_bytes
from agent.images.image import Image, arriving_ova_image, ova_image, padded, qcow2_image
from agent.images.open_image import open_image
from agent.images.ova.archive import Member, members_of
from agent.images.ova.package import disk_in, only
from agent.images.ova.passing import PassingArchive
from agent.images.packed import unpack
from agent.images.packed.background import BackgroundUnpacking
from agent.images.packed.packing import LONGEST_MAGIC, Packing, packing_of
from agent.images.qcow2.header import parse
from agent.images.qcow2.tables import survey
from agent.request.model import ImageType
from partitioning.byte_access import BytesReader
from partitioning.errors import ExplainedError
from tests.fuzz.packed_judge import LARGEST, unpacked_by_python
from tests.fuzz.sparse_disk import SparseDisk
from tests.fuzz.subject import Agreement, Arrival, Subject
from tests.fuzz.vmdk_judge import vmdk_agreement

_UNPACK_SECONDS = 30.0


def _first(spool: Spool) -> bytes:
    return spool.pread(min(spool.size, FIRST_BYTES), 0)


def _open_qcow2(spool: Spool, _stack: ExitStack) -> Image:
    check_first_bytes(_first(spool), ImageType.QCOW2)
    header = parse(_first(spool))
    assert 0 <= survey(header, spool) <= header.virtual_size
    return qcow2_image(spool, header)


def _qcow2_arrives(stack: ExitStack, window: int, _size: int) -> Arrival:
    spool = stack.enter_context(StreamSpool(window))
    return Arrival(file=spool, open=lambda: open_arriving(spool, ImageType.QCOW2))


def _open_vmdk(spool: Spool, _stack: ExitStack) -> Image:
    """Open it as the only member of an archive would be opened."""
    return ova_image(spool, Member(name="disk.vmdk", start=0, size=spool.size))


def _vmdk_arrives(stack: ExitStack, window: int, size: int) -> Arrival:
    spool = stack.enter_context(StreamSpool(window))

    def opened() -> Image:
        # The archive tells how long its members are.
        image = arriving_ova_image(spool, Member(name="disk.vmdk", start=0, size=size))
        return replace(image, reader=ArrivingReader(image.reader))

    return Arrival(file=spool, open=opened)


def _open_ova(spool: Spool, _stack: ExitStack) -> Image:
    check_first_bytes(_first(spool), ImageType.OVA)
    return ova_image(spool, disk_in(spool))


def _ova_arrives(stack: ExitStack, window: int, _size: int) -> Arrival:
    archive = PassingArchive()
    stack.callback(archive.stop)
    spool = stack.enter_context(StreamSpool(window, archive.feed))
    return Arrival(
        file=spool,
        open=lambda: open_arriving_ova(spool, archive, lambda: None),
        complete=archive.check,
    )


def _ova_agreement(data: bytes) -> Agreement:
    file = BytesReader(data)
    try:
        disk = disk_in(file)
        ovf = only(members_of(file), ".ovf")
    except ExplainedError:
        return Agreement.SAME
    if ovf is None or ovf.start > disk.start:
        return Agreement.WHOLE_ONLY
    return vmdk_agreement(data[disk.start : disk.start + disk.size])


def _packing(spool: Spool) -> Packing:
    packing = packing_of(spool.pread(spool.come(LONGEST_MAGIC), 0))
    if packing is None:
        raise BadFormat("It is not packed.")
    return packing


def _require_room(size: int) -> None:
    if size > LARGEST:
        raise ImageLargerThanDisk(image_size=size, disk_size=LARGEST, disk_path="the largest disk")


def _open_packed(spool: Spool, stack: ExitStack) -> Image:
    image = stack.enter_context(Spool())
    for piece in unpack.unpacked(_packing(spool), spool):
        _require_room(image.size + len(piece))
        image.append(piece)
    return open_image(image, ImageType.RAW)


class _Unpacking:
    """A packed file that comes into one spool, and is unpacked into another."""

    def __init__(self, stack: ExitStack, window: int) -> None:
        self._work: BackgroundUnpacking | None = None
        # When both are closed, it ends.
        stack.callback(self._require_end)
        # As in the agent, each has room for what is read at a time, and for what comes at a time.
        self.file = stack.enter_context(StreamSpool(max(window, 2 * unpack._PACKED_PIECE)))
        room = raw_pieces.MOST_BYTES + unpack.PIECE  # type: ignore[attr-defined]  # as it may be patched there
        self.image = stack.enter_context(StreamSpool(max(window, room)))

    def open(self) -> Image:
        self._work = BackgroundUnpacking(
            _packing(self.file), self.file, self.image, check=_require_room, effort=Effort()
        )
        return open_arriving(self.image, ImageType.RAW)

    def _require_end(self) -> None:
        assert self._work is None or self._work.wait(_UNPACK_SECONDS), "unpacking goes on for ever"


def _packed_arrives(stack: ExitStack, window: int, _size: int) -> Arrival:
    unpacking = _Unpacking(stack, window)
    return Arrival(
        file=unpacking.file,
        open=unpacking.open,
        size=lambda: unpacking.image.known_size,
        needs_room=False,
    )


def _judge_packed(file: bytes, disk: SparseDisk | None, error: ExplainedError | None) -> None:
    wanted = unpacked_by_python(file)
    if wanted is None:
        assert disk is None, "unpacked, though Python's own libraries can not do it"
    elif disk is not None:
        assert disk.size == padded(len(wanted)), "unpacked to another size"
        assert disk.pread(len(wanted), 0) == wanted, "unpacked to something else"
    else:
        _require_reason(wanted, error)


def _require_reason(wanted: bytes, error: ExplainedError | None) -> None:
    """Make sure that what can be unpacked was refused for what is in it."""
    if not wanted:
        return
    try:
        check_first_bytes(wanted[:FIRST_BYTES], ImageType.RAW)
    except BadFormat:
        return
    raise AssertionError(f"Python's own libraries can unpack it: {error}")


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject(name="qcow2", open=_open_qcow2, arrive=_qcow2_arrives),
        Subject(name="vmdk", open=_open_vmdk, arrive=_vmdk_arrives, agreement=vmdk_agreement),
        Subject(name="ova", open=_open_ova, arrive=_ova_arrives, agreement=_ova_agreement),
        Subject(name="packed", open=_open_packed, arrive=_packed_arrives, judge=_judge_packed),
    )
}
