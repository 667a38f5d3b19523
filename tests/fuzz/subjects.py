"""The readers that are fuzzed, opened as the agent opens them, but for the calls of other programs."""

from agent.fetch.downloaded import FIRST_BYTES
from agent.fetch.spool import Spool
from agent.fetch.stream_spool import StreamSpool
from agent.images.arriving import open_arriving
from agent.images.first_bytes import check_first_bytes
from agent.images.image import Image, ova_image, qcow2_image
from agent.images.ova.archive import Member
from agent.images.ova.package import disk_in
from agent.images.qcow2.header import parse
from agent.images.qcow2.tables import survey
from agent.request.model import ImageType
from tests.fuzz.checks import Subject


def _first(spool: Spool) -> bytes:
    return spool.pread(min(spool.size, FIRST_BYTES), 0)


def _open_qcow2(spool: Spool) -> Image:
    check_first_bytes(_first(spool), ImageType.QCOW2)
    header = parse(_first(spool))
    assert 0 <= survey(header, spool) <= header.virtual_size
    return qcow2_image(spool, header)


def _qcow2_arrives(spool: StreamSpool) -> Image:
    return open_arriving(spool, ImageType.QCOW2)


def _open_vmdk(spool: Spool) -> Image:
    """Open it as the only member of an archive would be opened."""
    return ova_image(spool, Member(name="disk.vmdk", start=0, size=spool.size))


def _open_ova(spool: Spool) -> Image:
    check_first_bytes(_first(spool), ImageType.OVA)
    return ova_image(spool, disk_in(spool))


SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject(name="qcow2", open=_open_qcow2, open_arriving=_qcow2_arrives),
        Subject(name="vmdk", open=_open_vmdk),
        Subject(name="ova", open=_open_ova),
    )
}
