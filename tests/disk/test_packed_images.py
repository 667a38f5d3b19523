"""Deployments of packed raw images, within this process."""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.deployment import on_its_way
from agent.deployment.on_its_way import OnItsWay
from agent.fetch.memory import MemoryBudget
from agent.images.packed.member import LARGEST_WINDOW
from agent.images.pieces import Buffer
from partitioning.open_disk import OpenDisk
from tests.disk.in_process import assert_deployed, deployed, progress_in, steps
from tests.misbehaving_server import MisbehavingServer, Serve, wait_until
from tests.packed_samples import TOOLS, packed
from tests.small_images import gpt_image, put, random_file
from tests.unit.test_cli_common import CommandLine, command
from tests.unit.test_images_common import MIB

__all__ = ["command"]

SHA256 = ("--check-sum-type", "sha256", "--check-sum")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gpt_image(tmp_path_factory.mktemp("packed") / "image.raw", size=50 * MIB)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return random_file(tmp_path / "disk", 60 * MIB)


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.deployment.staging.WINDOW", 6 * MIB)
    monkeypatch.setattr(on_its_way, "PACKED_WINDOW", 2 * MIB)


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("packing", list(TOOLS))
@pytest.mark.parametrize("staging", ["memory", "stream"])
def test_each_packing(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path, packing: str, staging: str
) -> None:
    data = packed(raw.read_bytes(), packing)
    digest = hashlib.sha256(data).hexdigest()
    url = server.on("/image", Serve(data), Serve(data, cut_after=9 * MIB), Serve(data))
    options = ("--staging", staging, "--verify", "--hostname", "h", *SHA256, digest)
    said, last = deployed(command, url, disk, "raw", *options)
    assert said.code == 0, said.err
    assert f"the file is packed ({packing})" in said.err
    assert last["checksum"] == digest
    assert_deployed(disk, raw)
    # What is all in memory is looked at before anything is written.
    assert ("look" in steps(said)) == (staging == "stream")


@pytest.mark.parametrize("window", [6, 96])
def test_the_progress_is_that_of_what_was_written(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    window: int,
) -> None:
    """However far unpacking is ahead of a slow disk."""
    real = OpenDisk.pwritev

    def slow(disk: OpenDisk, buffers: list[Buffer], offset: int) -> None:
        time.sleep(0.25)
        real(disk, buffers, offset)

    monkeypatch.setattr(OpenDisk, "pwritev", slow)
    monkeypatch.setattr("agent.deployment.staging.WINDOW", window * MIB)
    url = server.on("/image", Serve(packed(raw.read_bytes(), "gzip")))
    said, _ = deployed(command, url, disk, "raw", "--staging", "stream")
    assert said.code == 0, said.err
    told = progress_in(said, "write")
    shares = [event["bytesDone"] / event["bytesTotal"] for event in told]
    assert len(shares) > 3
    assert shares[0] < 0.5
    assert all(share < 1 for share in shares[:-1])
    assert told[-1]["bytesTotal"] == 50 * MIB


def test_the_plan_of_an_image_in_memory(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    data = packed(raw.read_bytes(), "zstd")
    words = ("plan", "--url", server.on("/image", Serve(data)), "--type", "raw", "--disk", str(disk))
    answer = json.loads(command(*words, "--json").out)
    assert answer["complete"]
    assert answer["image"]["fileSize"] == len(data)
    assert answer["image"]["virtualSize"] == 50 * MIB
    # Its zeroes take no memory.
    assert answer["image"]["heldInMemory"] < 30 * MIB
    answer = json.loads(command(*words, "--json", "--staging", "stream").out)
    assert not answer["complete"]
    assert answer["image"]["virtualSize"] is None
    assert answer["image"]["heldInMemory"] == (96 + 16) * MIB
    assert "its size is known when all has come" in command(*words, "--staging", "stream").out


@pytest.mark.parametrize("staging", ["auto", "memory"])
def test_an_image_larger_than_the_memory(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    staging: str,
) -> None:
    monkeypatch.setattr("agent.deployment.staging.WINDOW", 3 * MIB)
    monkeypatch.setattr(MemoryBudget, "room", lambda _: LARGEST_WINDOW + (16 + 4) * MIB)
    monkeypatch.setattr(MemoryBudget, "require", lambda *_: None)
    before = disk.read_bytes()
    requests = server.on("/image", *[Serve(packed(raw.read_bytes(), "gzip"))] * 2)
    said, last = deployed(command, requests, disk, "raw", "--staging", staging)
    if staging == "memory":
        assert (said.code, last["diskTouched"]) == (3, False)
        assert last["message"] == "Could not download, raw image is too big to download in memory."
        assert disk.read_bytes() == before
    else:
        # It goes on from what has come, and does not ask for the file once more.
        assert said.code == 0, said.err
        assert "it is written while it is downloaded" in said.err
        assert_deployed(disk, raw)


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("staging", ["auto", "memory"])
def test_a_memory_without_room_for_what_is_unpacked(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    staging: str,
) -> None:
    monkeypatch.setattr(MemoryBudget, "room", lambda _: LARGEST_WINDOW)
    requests = server.on("/image", *[Serve(packed(raw.read_bytes(), "gzip"))] * 2)
    said, last = deployed(command, requests, disk, "raw", "--staging", staging)
    if staging == "memory":
        assert (said.code, last["diskTouched"]) == (3, False)
        assert last["message"] == "Could not download, raw image is too big to download in memory."
    else:
        assert said.code == 0, said.err
        assert "it is written while it is downloaded" in said.err
        assert_deployed(disk, raw)


class _NoRoomAnyMore(MemoryBudget):
    def room(self) -> int:
        return 0


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("staging", ["auto", "memory"])
def test_memory_that_somebody_else_takes_meanwhile(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    staging: str,
) -> None:
    monkeypatch.setattr(on_its_way, "MemoryBudget", _NoRoomAnyMore)
    slow = Serve(packed(raw.read_bytes(), "bzip2"), drip=MIB, pause=0.1)
    said, last = deployed(command, server.on("/image", slow), disk, "raw", "--staging", staging)
    if staging == "memory":
        assert (said.code, last["diskTouched"]) == (3, False), said.err
        assert last["message"] == "Could not download, raw image is too big to download in memory."
    else:
        assert said.code == 0, said.err
        assert "it is written while it is downloaded" in said.err
        assert_deployed(disk, raw)


@pytest.mark.usefixtures("small_windows")
def test_memory_that_is_left_is_not_given_up(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less than was granted, but more than the image takes."""

    class Less(MemoryBudget):
        def room(self) -> int:
            return 30 * MIB

    monkeypatch.setattr(on_its_way, "MemoryBudget", Less)
    slow = Serve(packed(raw.read_bytes(), "bzip2"), drip=MIB, pause=0.1)
    said, _ = deployed(command, server.on("/image", slow), disk, "raw")
    assert said.code == 0, said.err
    assert "it is written while it is downloaded" not in said.err


@pytest.mark.parametrize("staging", ["memory", "stream"])
def test_what_is_damaged(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path, staging: str
) -> None:
    data = bytearray(packed(raw.read_bytes(), "gzip"))
    sound = hashlib.sha256(data).hexdigest()
    data[len(data) // 2] ^= 0xFF
    url, before = server.on("/image", *[Serve(bytes(data))] * 3), disk.read_bytes()
    said, last = deployed(command, url, disk, "raw", "--staging", staging)
    if staging == "memory":
        assert (said.code, last["diskTouched"]) == (3, False), said.err
        assert disk.read_bytes() == before
    assert last["message"] == "Bad format image, expected : qcow2, raw." or staging == "stream"
    assert "The gzip file is damaged" in last["detail"]
    # Where the file is not the one that was meant, that is what is told.
    said, last = deployed(command, url, disk, "raw", "--staging", "memory", *SHA256, sound)
    assert (said.code, last["message"][:10]) == (4, "Bad sha256"), said.err
    assert last["checksum"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("touched", [False, True])
def test_what_is_damaged_is_told_alike_however_it_is_staged(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    touched: bool,
) -> None:
    data = bytearray(packed(raw.read_bytes(), "bzip2"))
    sound = hashlib.sha256(data).hexdigest()
    data[len(data) - (MIB if touched else 4 * MIB)] ^= 0xFF
    monkeypatch.setattr("agent.deployment.staging.WINDOW", (3 if touched else 96) * MIB)
    if not touched:
        # What is wrong is known before the disk is touched, and before all of the file is there.
        real = OnItsWay.check

        def late(staged: OnItsWay) -> None:
            wait_until(lambda: staged._unpacking is not None and staged._unpacking.error is not None)
            real(staged)

        monkeypatch.setattr(OnItsWay, "check", late)
    url = server.on("/image", Serve(bytes(data), drip=MIB // 2, pause=0.1))
    said, last = deployed(command, url, disk, "raw", "--staging", "stream", *SHA256, sound)
    actual = hashlib.sha256(data).hexdigest()
    assert (said.code, last["diskTouched"]) == (4, touched), said.err
    assert last["message"] == f"Bad sha256 for downloaded file, got : {actual} while expecting {sound}."
    assert last["checksum"] == actual
    if touched:
        assert not any(disk.read_bytes()[:MIB])
    # A file that is damaged as it is meant to be is told as such.
    said, last = deployed(command, url, disk, "raw", "--staging", "stream", *SHA256, actual)
    assert said.code == (5 if touched else 3), said.err
    assert "The bzip2 file is damaged" in last["detail"]


def test_the_rest_of_a_damaged_file_does_not_come_in_silence(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    data = bytearray(packed(raw.read_bytes(), "bzip2"))
    data[len(data) // 16] ^= 0xFF
    url = server.on("/image", *[Serve(bytes(data), drip=MIB // 4, pause=0.1)] * 2)
    said, last = deployed(command, url, disk, "raw", "--staging", "memory", *SHA256, "0" * 64)
    assert (said.code, last["diskTouched"]) == (4, False), said.err
    told = {event["bytesDone"] for event in progress_in(said, "fetch")}
    assert len({done for done in told if done > len(data) // 2}) > 3


@pytest.mark.parametrize("staging", ["auto", "memory"])
def test_a_file_that_is_another_one_when_it_is_asked_for_again(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path, staging: str
) -> None:
    url = server.on("/image", Serve(packed(raw.read_bytes(), "gzip")), Serve(raw.read_bytes()))
    before = disk.read_bytes()
    said, last = deployed(command, url, disk, "raw", "--staging", staging)
    assert (said.code, last["diskTouched"]) == (4, False), said.err
    assert last["message"] == f"Could not download image located : {url}."
    assert "the file changed between two requests" in last["detail"].lower()
    assert last["hint"]
    assert disk.read_bytes() == before


def test_what_follows_the_packed_image(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    before, data = disk.read_bytes(), packed(raw.read_bytes(), "xz")
    said, last = deployed(command, server.on("/i", *[Serve(data + b"more")] * 2), disk, "raw")
    assert (said.code, last["diskTouched"]) == (3, False)
    assert "something else follows" in last["detail"]
    assert disk.read_bytes() == before
    said, last = deployed(command, server.on("/j", *[Serve(data[:-1])] * 2), disk, "raw")
    assert (said.code, last["diskTouched"]) == (3, False)
    assert "The xz file was cut short" in last["detail"]
    assert disk.read_bytes() == before


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize("staging", ["memory", "stream"])
def test_an_image_larger_than_the_disk(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path, staging: str
) -> None:
    os.truncate(disk, 52 * MIB)
    data = packed(raw.read_bytes() + bytes(600 * MIB), "zstd")
    said, last = deployed(command, server.on("/i", *[Serve(data)] * 2), disk, "raw", "--staging", staging)
    # While it is written it may turn out before the first write, or after.
    assert not last["diskTouched"] or staging == "stream"
    assert said.code == (5 if last["diskTouched"] else 3), said.err
    assert f"larger than device of {52 * MIB} bytes" in last["message"] + last["detail"]
    # How large it is nobody knows: unpacking was stopped.
    assert "it has at least" in last["detail"]
    assert "are missing" not in last["detail"]


def test_a_file_larger_than_the_disk_with_an_image_that_fits(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    skipped = b"\x5f\x2a\x4d\x18" + (60 * MIB).to_bytes(4, "little") + bytes(60 * MIB)
    url = server.on("/i", *[Serve(skipped + packed(raw.read_bytes(), "zstd"))] * 2)
    said, _ = deployed(command, url, disk, "raw", "--staging", "memory")
    assert said.code == 0, said.err
    assert_deployed(disk, raw)


@pytest.mark.parametrize("staging", ["memory", "stream"])
@pytest.mark.parametrize("inner", ["gzip", "qcow2", "text"])
def test_what_is_packed_is_no_raw_image(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path, staging: str, inner: str
) -> None:
    before = disk.read_bytes()
    content = {"gzip": packed(raw.read_bytes(), "gzip"), "qcow2": b"QFI\xfb" * 999, "text": b"hello " * 999}
    url = server.on("/i", *[Serve(packed(content[inner], "bzip2"))] * 2)
    said, last = deployed(command, url, disk, "raw", "--staging", staging)
    assert (said.code, last["diskTouched"]) == (3, False), said.err
    words = {
        "gzip": "the file is a gzip file",
        # Not to set the type to qcow2: a packed qcow2 image is refused as such, too.
        "qcow2": "There is a qcow2 image in the bzip2 file",
        "text": "the file is a text file",
    }
    assert words[inner] in last["detail"]
    assert ("Set type to qcow2" in last["hint"]) is False
    assert disk.read_bytes() == before


def test_the_beginning_is_refused_before_all_has_come(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path, tmp_path: Path
) -> None:
    """No boot code: known from the first sector, while the rest of the file never comes."""
    image = tmp_path / "image.raw"
    image.write_bytes(raw.read_bytes())
    put(image, 0, bytes(440))
    data = packed(image.read_bytes(), "gzip")
    url = server.on("/i", Serve(data, cut_after=1 * MIB, end="stall"))
    options = ("--staging", "stream", "--boot-type", "legacy")
    said, last = deployed(command, url, disk, "raw", *options)
    assert (said.code, last["diskTouched"]) == (3, False), said.err
    assert "there is no boot code" in last["detail"]
