from pathlib import Path

import pytest

from agent.deployment.staging import FetchReport, digest_of, early_check, policy_of, source_of
from agent.effort import Effort
from agent.fetch.errors import ChecksumMismatch
from agent.images.errors import BadFormat, ImageLargerThanDisk
from agent.reporting import events
from agent.request.model import Request
from partitioning.disks import file_disk
from tests.small_images import tool
from tests.unit.test_images_common import MIB, file_of, tiny_image
from tests.unit.test_reporting_common import Clock, Heard, reporter_with
from tests.unit.test_request_common import BASE, SECRET, request

DISK_SIZE = 4 * MIB


def test_where_the_image_is() -> None:
    header = [{"key": "Authorization", "value": SECRET}, {"key": "X", "value": ""}]
    options = {"proxy": "http://p:3128", "caFile": "/ca.pem"}
    source = source_of(request(httpHeader=header, options=options))
    assert source.url == BASE["URL"]
    assert source.headers == (("Authorization", SECRET), ("X", ""))
    assert (source.proxy, source.ca_file) == ("http://p:3128", Path("/ca.pem"))
    plain = source_of(request())
    assert (plain.headers, plain.proxy, plain.ca_file) == ((), None, None)


def test_how_often_and_how_long() -> None:
    policy = policy_of(request(options={"fetchRetries": 3, "stallTimeout": 7}))
    assert (policy.retries, policy.stall_timeout) == (3, 7)


def test_the_sum_that_is_asked_for() -> None:
    digest = digest_of(request(checkSum="0" * 40, checkSumType="sha1"))
    digest.update(b"x")
    assert list(digest.values()) == ["sha1"]
    with pytest.raises(ChecksumMismatch):
        digest.verify()


def test_a_sum_is_computed_in_any_case() -> None:
    digest = digest_of(request())
    assert list(digest.values()) == ["sha256"]
    digest.verify()


def report(wanted: Request, folder: Path) -> tuple[FetchReport, Heard, Clock]:
    heard, clock = Heard(), Clock()
    disk = file_disk(file_of(folder / "disk", DISK_SIZE))
    return FetchReport(wanted, disk, reporter_with(heard, clock=clock), Effort()), heard, clock


def test_progress_and_notes_are_passed_on(tmp_path: Path) -> None:
    listener, heard, clock = report(request(), tmp_path)
    clock.now += 1
    listener.progress(100, 200)
    listener.note("Again.")
    first, second = (event for event, _ in heard.told)
    assert isinstance(first, events.Progressed)
    assert (first.progress.bytes_done, first.progress.bytes_total) == (100, 200)
    assert second == events.Note("Again.")


@pytest.mark.parametrize(
    ("done", "total", "detail"),
    [
        (9, DISK_SIZE + 1, "1 bytes are missing"),
        (DISK_SIZE + 2, None, f"it has at least {DISK_SIZE + 2} bytes"),
        (DISK_SIZE + 2, 5, f"it has at least {DISK_SIZE + 2} bytes"),
    ],
)
def test_a_raw_image_that_can_not_fit_is_not_downloaded(
    tmp_path: Path, done: int, total: int | None, detail: str
) -> None:
    listener, heard, _ = report(request(), tmp_path)
    listener.found_plain()
    with pytest.raises(ImageLargerThanDisk) as caught:
        listener.progress(done, total)
    assert detail in caught.value.detail
    assert heard.told == []
    listener.progress(DISK_SIZE, DISK_SIZE)


def test_a_length_says_nothing_as_long_as_the_file_may_be_packed(tmp_path: Path) -> None:
    listener, _, _ = report(request(), tmp_path)
    for _ in range(2):
        listener.progress(0, DISK_SIZE + 1)
        listener.progress(9, DISK_SIZE + 1)
        with pytest.raises(ImageLargerThanDisk):
            listener.found_plain()


def test_the_length_of_a_qcow2_file_says_nothing(tmp_path: Path) -> None:
    listener, heard, _ = report(request(type="qcow2"), tmp_path)
    listener.found_plain()
    listener.progress(DISK_SIZE + 1, DISK_SIZE * 2)
    assert heard.kinds == [events.Progressed]


def first_of_qcow2(folder: Path, size: int) -> bytes:
    path = folder / "image.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", path, str(size))
    return path.read_bytes()[:65536]


def test_the_first_bytes_are_enough_to_refuse(tmp_path: Path) -> None:
    disk = file_disk(file_of(tmp_path / "disk", DISK_SIZE))
    raw, compressed = early_check(request(), disk), early_check(request(type="qcow2"), disk)
    raw(tiny_image()[:65536])
    compressed(first_of_qcow2(tmp_path, DISK_SIZE))
    with pytest.raises(ImageLargerThanDisk):
        compressed(first_of_qcow2(tmp_path, DISK_SIZE + 512))
    for check, first in ((raw, b"<html>"), (compressed, tiny_image())):
        with pytest.raises(BadFormat):
            check(first)
