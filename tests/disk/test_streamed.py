"""Deployments that are written while they are downloaded, within this process."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from agent.boot.loader_files import OTHER_DIRECTORY_VARIABLE
from agent.deployment.on_its_way import OnItsWay
from agent.fetch.digest import Digest
from agent.fetch.errors import TooBigForMemory
from agent.fetch.local_file import LocalReply
from agent.fetch.memory import MemoryBudget, MemoryView
from agent.images.ova import passing
from partitioning.errors import DiskWriteError
from partitioning.open_disk import OpenDisk
from tests.disk.in_process import assert_deployed, deployed, progress_in, steps
from tests.disk.test_boot_changes import LOADERS
from tests.misbehaving_server import MisbehavingServer, Serve, wait_until
from tests.ova_samples import archive, manifest, ova, ovf, vmdk
from tests.small_images import esp_with_loader, gpt_image, mbr_image, put, qcow2, random_file, tool
from tests.unit.test_cli_common import CommandLine, Said, command
from tests.unit.test_images_common import MIB

__all__ = ["command"]

SECTOR = 512
LATE_ESP = 60 * MIB


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gpt_image(tmp_path_factory.mktemp("stream") / "image.raw", size=64 * MIB)


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image whose ESP is behind all of its data."""
    path = tmp_path_factory.mktemp("late") / "image.raw"
    gpt_image(path, size=96 * MIB, esp=False)
    tool("sgdisk", "-d", "1", "-n", f"1:73728:{LATE_ESP // SECTOR - 1}", "-t", "1:8300", path)
    tool("sgdisk", "-n", f"15:{LATE_ESP // SECTOR}:+32M", "-t", "15:ef00", path)
    put(path, LATE_ESP, esp_with_loader(path.with_suffix(".esp"), 32 * MIB))
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return random_file(tmp_path / "disk", 128 * MIB)


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.deployment.staging.WINDOW", 12 * MIB)


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("form", ["raw", "-c", "plain"])
def test_an_image_that_is_larger_than_the_window(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path, form: str
) -> None:
    path = raw if form == "raw" else qcow2(raw, *(["-c"] if form == "-c" else []))
    data = path.read_bytes()
    assert len(data) > 13 * MIB
    url = server.on("/image", Serve(data, cut_after=9 * MIB), Serve(data))
    checks = ("--check-sum", hashlib.sha256(data).hexdigest(), "--check-sum-type", "sha256", "--verify")
    kind = "raw" if form == "raw" else "qcow2"
    said, last = deployed(command, url, disk, kind, "--staging", "stream", *checks)
    assert said.code == 0, said.err
    assert_deployed(disk, raw)
    assert last["checksum"] == hashlib.sha256(data).hexdigest()
    # In a qcow2 file all that matters stands at the beginning: the plan was complete before writing.
    assert ("look" in steps(said)) == (form == "raw")
    assert "compare" in steps(said)
    assert "resuming" in said.err


@pytest.mark.usefixtures("small_window")
def test_what_comes_late_is_looked_at_on_the_disk(
    command: CommandLine, server: MisbehavingServer, late: Path, disk: Path
) -> None:
    url = server.on("/image", Serve(late.read_bytes()))
    options = ("--staging", "stream", "--boot-type", "uefi", "--hostname", "h")
    said, last = deployed(command, url, disk, "raw", *options)
    assert said.code == 0, said.err
    assert_deployed(disk, late)
    assert steps(said)[:10] == [
        *("disk", "fetch", "inspect", "release", "wipe", "write", "flush", "look", "gpt", "configdrive")
    ]
    assert [step["state"] for step in last["steps"]] == ["done"] * len(last["steps"])


@pytest.mark.usefixtures("small_window")
def test_what_can_not_boot_is_found_late_and_does_not_boot(
    command: CommandLine, server: MisbehavingServer, late: Path, disk: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.raw"
    empty.write_bytes(late.read_bytes()[:LATE_ESP] + bytes(36 * MIB))
    url = server.on("/image", Serve(empty.read_bytes()))
    said, last = deployed(command, url, disk, "raw", "--staging", "stream", "--boot-type", "uefi")
    assert said.code == 5, said.err
    assert last["message"] == "The image can not boot on this server's UEFI firmware."
    assert last["diskTouched"] is True
    assert not any(disk.read_bytes()[:MIB])


@pytest.mark.usefixtures("small_window")
def test_all_of_an_archives_disk_is_looked_at(
    command: CommandLine, server: MisbehavingServer, late: Path, disk: Path
) -> None:
    """What has not come of it is not taken for zeroes, however often it is asked for."""
    full = late.with_name("full.raw")
    shutil.copy(late, full)
    put(full, 40 * MIB, os.urandom(16 * MIB))
    url = server.on("/image", Serve(ova(vmdk(full, "streamOptimized").read_bytes())))
    said, _ = deployed(command, url, disk, "ova", "--staging", "stream", "--boot-type", "uefi")
    assert said.code == 0, said.err
    assert "look" in steps(said)
    assert_deployed(disk, full)


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("lacking", ["tools", "room"])
def test_what_is_missing_for_an_esp_is_known_by_the_table(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    lacking: str,
) -> None:
    """Where the rest of an image comes late, the disk is not erased for it."""
    without = gpt_image(disk.parent / "without.raw", size=64 * MIB, esp=False)
    data = without.read_bytes()[: 16 * MIB] + os.urandom(46 * MIB) + without.read_bytes()[62 * MIB :]
    loaders = disk.parent / "loaders"
    loaders.mkdir()
    for name, content in LOADERS.items():
        (loaders / name).write_bytes(content)
    monkeypatch.setenv(OTHER_DIRECTORY_VARIABLE, str(loaders))
    if lacking == "tools":
        monkeypatch.setattr("agent.boot.hand_over_needs.available", lambda _: False)
    before, url = disk.read_bytes(), server.on("/image", Serve(data))
    said, last = deployed(command, url, disk, "raw", "--staging", "stream", "--boot-type", "uefi")
    assert (said.code, last["diskTouched"]) == (3, False), said.err
    assert last["detail"].lower().startswith("it has no efi system partition")
    why = "These packages are not installed" if lacking == "tools" else "the one to add has"
    assert why in last["detail"]
    assert disk.read_bytes() == before


def test_a_server_with_too_little_memory_to_stream(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MemoryView, "available", lambda _: 140 * MIB)
    before, url = disk.read_bytes(), server.on("/image", Serve(raw.read_bytes()))
    for way in ("stream", "auto"):
        said, last = deployed(command, url, disk, "raw", "--staging", way)
        assert (said.code, last["diskTouched"]) == (3, False), said.err
        assert last["message"] == "Could not download, raw image is too big to download in memory."
    assert disk.read_bytes() == before
    # The window is smaller where there is less.
    monkeypatch.setattr(MemoryView, "available", lambda _: 150 * MIB)
    said, _ = deployed(command, url, disk, "raw", "--staging", "stream")
    assert said.code == 0, said.err
    assert_deployed(disk, raw)


def test_streaming_does_not_wait_in_silence(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    data = raw.read_bytes()
    slow = Serve(data, etag='"a"', drip=MIB // 8, pause=0.02)
    url = server.on("/image", Serve(status=503), Serve(data, etag='"a"', cut_after=100_000), slow)
    said, _ = deployed(command, url, disk, "raw", "--staging", "stream", "--boot-type", "legacy")
    assert said.code == 0, said.err
    assert said.err.index("HTTP 503") < said.err.index("Inspecting the image")
    assert said.err.index("resuming") < said.err.index("Inspecting the image")
    moments = [event["bytesDone"] for event in progress_in(said, "write")]
    assert moments == sorted(moments)


def test_what_happened_is_told_where_nothing_has_come(
    command: CommandLine, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    request = tmp_path / "request.json"
    url = server.on("/image", Serve(status=503))
    request.write_text(json.dumps({"URL": url, "type": "raw", "options": {"fetchRetries": 1}}))
    said = command("deploy", str(request), "--disk", str(disk), "--yes", "--json", "--staging", "stream")
    assert said.code == 4
    assert said.err.index("(1 of 1)") < said.err.index("Error: ")


@pytest.mark.usefixtures("small_window")
def test_a_table_for_other_sectors_is_rewritten(
    command: CommandLine, server: MisbehavingServer, late: Path, disk: Path
) -> None:
    """Its backup, which is zeroed then, comes last."""
    url = server.on("/image", Serve(late.read_bytes()))
    options = ("--staging", "stream", "--boot-type", "uefi", "--sector-size", "4096")
    said, _ = deployed(command, url, disk, "raw", *options)
    assert said.code == 0, said.err
    assert "look" in steps(said)
    data = disk.read_bytes()
    assert data[4096:4104] == b"EFI PART"
    assert data[-4096:-4088] == b"EFI PART"
    old = late.stat().st_size - SECTOR
    assert data[old : old + 8] == bytes(8)


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("boot", ["auto", "uefi"])
def test_what_can_not_start_is_refused_by_the_beginning(
    command: CommandLine,
    server: MisbehavingServer,
    disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    boot: str,
) -> None:
    """auto: neither boot code nor an ESP. uefi: an ESP without a loader, and none that could be added."""
    image = gpt_image(tmp_path / "image.raw", size=64 * MIB, esp=boot == "uefi")
    data = bytearray(image.read_bytes())
    data[:440] = bytes(440)
    if boot == "uefi":
        monkeypatch.setenv(OTHER_DIRECTORY_VARIABLE, str(tmp_path))
        monkeypatch.setattr("agent.boot.find_loader.runs_here", lambda _: False)
    before, url = disk.read_bytes(), server.on("/image", Serve(bytes(data)))
    said, last = deployed(command, url, disk, "raw", "--staging", "stream", "--boot-type", boot)
    assert (said.code, last["diskTouched"]) == (3, False), said.err
    assert disk.read_bytes() == before


def test_mirrors_without_a_checksum_are_warned_of(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    data = raw.read_bytes()
    url, mirror = server.on("/image", Serve(data)), server.on("/mirror", Serve(data))
    more = ("--check-sum", hashlib.sha256(data).hexdigest(), "--check-sum-type", "sha256")
    for options, is_warned in (((), True), (more, False)):
        ways = ("--staging", "stream", "--mirrors", mirror, *options)
        _, last = deployed(command, url, disk, "raw", *ways)
        assert any("mirrors and no checksum" in text for text in last["warnings"]) == is_warned


@pytest.mark.usefixtures("small_window")
def test_a_damaged_primary_gpt(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    data = bytearray(raw.read_bytes())
    data[SECTOR + 80] ^= 1
    said, last = deployed(command, server.on("/i", Serve(bytes(data))), disk, "raw", "--staging", "stream")
    assert (said.code, last["diskTouched"]) == (3, False), said.err
    assert "GPT" in last["detail"]
    assert "logical partitions" not in last["detail"]


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_a_disk_that_fails_while_more_is_to_come(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    def fail(*_: object) -> None:
        raise DiskWriteError("Writing failed.", detail="It is broken.", hint="Use another.")

    monkeypatch.setattr(OpenDisk, "pwritev", fail)
    data = raw.read_bytes() if kind == "raw" else qcow2(raw).read_bytes()
    said, last = deployed(command, server.on("/image", Serve(data)), disk, kind, "--staging", "stream")
    assert (said.code, last["message"]) == (5, f"Can't write {kind} on disk."), said.err
    assert last["detail"] == "Writing failed. It is broken."


def test_a_table_that_lies_beyond_all_room_is_found_before_writing(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = qcow2(raw)
    tool("qemu-img", "snapshot", "-c", "before", path)
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 20M 65536", path)
    monkeypatch.setattr("agent.deployment.staging.WINDOW", 4 * MIB)
    before, url = disk.read_bytes(), server.on("/image", Serve(path.read_bytes()))
    said, last = deployed(command, url, disk, "qcow2", "--staging", "stream")
    assert said.code == 3, said.err
    assert last["message"] == "Could not download, qcow2 image is too big to download in memory."
    assert last["hint"].startswith("Let it be staged in memory (--staging memory), or publish it in order: ")
    assert disk.read_bytes() == before


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_a_wrong_sum_that_is_known_in_time(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    real = OnItsWay.check

    def late(staged: OnItsWay) -> None:
        wait_until(lambda: staged._download.error is not None)
        real(staged)

    monkeypatch.setattr(OnItsWay, "check", late)
    data, before = raw.read_bytes() if kind == "raw" else qcow2(raw, "-c").read_bytes(), disk.read_bytes()
    more = ("--check-sum", "0" * 64, "--check-sum-type", "sha256", "--staging", "stream")
    said, last = deployed(command, server.on("/image", Serve(data)), disk, kind, *more)
    assert (said.code, last["diskTouched"]) == (4, False), said.err
    assert last["checksum"] == hashlib.sha256(data).hexdigest()
    assert [step["name"] for step in last["steps"] if step["state"] == "failed"] == ["fetch"]
    assert disk.read_bytes() == before


@pytest.mark.usefixtures("small_window")
def test_what_the_beginning_says_is_refused_before_writing(
    command: CommandLine, server: MisbehavingServer, late: Path, disk: Path
) -> None:
    before, url = disk.read_bytes(), server.on("/image", Serve(bytes(440) + late.read_bytes()[440:]))
    said, last = deployed(command, url, disk, "raw", "--staging", "stream", "--boot-type", "legacy")
    assert (said.code, last["diskTouched"]) == (3, False), said.err
    assert last["detail"] == "Legacy: there is no boot code in the image's first sector."
    full = mbr_image(disk.parent / "full.raw", partitions=4)
    url = server.on("/full", Serve(full.read_bytes()))
    said, last = deployed(command, url, disk, "raw", "--staging", "stream", "--hostname", "h")
    assert (said.code, last["diskTouched"]) == (3, False), said.err
    assert last["message"] == "Could not create configdrive on disk."
    assert disk.read_bytes() == before


@pytest.mark.usefixtures("small_window")
def test_gaps_in_the_file_are_given_back(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    path = qcow2(raw, "-o", "cluster_size=2M")
    # All of it, then discarded again: the file keeps its length, and has holes where data was.
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 5 38M 24M", "-c", "discard 38M 22M", path)
    assert path.stat().st_size > 40 * MIB
    tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, path.with_suffix(".expected"))
    slow = Serve(path.read_bytes(), drip=MIB, pause=0.02)
    said, _ = deployed(command, server.on("/image", slow), disk, "qcow2", "--staging", "stream")
    assert said.code == 0, said.err
    assert_deployed(disk, path.with_suffix(".expected"))


@pytest.mark.usefixtures("small_window")
def test_a_wrong_sum(command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path) -> None:
    url = server.on("/image", Serve(raw.read_bytes()))
    more = ("--check-sum", "0" * 64, "--check-sum-type", "sha256")
    said, last = deployed(command, url, disk, "raw", "--staging", "stream", *more)
    actual = hashlib.sha256(raw.read_bytes()).hexdigest()
    assert said.code == 4
    assert last["message"] == f"Bad sha256 for downloaded file, got : {actual} while expecting {'0' * 64}."
    assert (last["diskTouched"], last["checksum"]) == (True, actual)
    assert not any(disk.read_bytes()[:MIB])


def test_a_damaged_file_with_a_sum(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That it is not the file that was asked for says more than where it could not be read any more."""
    monkeypatch.setattr("agent.deployment.staging.WINDOW", 3 * MIB)
    lines = tmp_path / "lines.raw"
    shutil.copy(raw, lines)
    put(lines, 36 * MIB, b"".join(b"%015d\n" % number for number in range(24 << 16)))
    data = bytearray(qcow2(lines, "-c").read_bytes())
    sound = hashlib.sha256(data).hexdigest()
    # More than a cluster: the beginning of one is among it.
    data[len(data) // 2 : len(data) // 2 + 2 * 65536] = b"\xff" * 2 * 65536
    url = server.on("/image", Serve(bytes(data)))
    for sum_, code, message in (
        (sound, 4, f"Bad sha256 for downloaded file, got : {hashlib.sha256(data).hexdigest()} while"),
        (hashlib.sha256(data).hexdigest(), 5, "Can't write qcow2 on disk."),
    ):
        more = ("--check-sum", sum_, "--check-sum-type", "sha256", "--staging", "stream")
        said, last = deployed(command, url, disk, "qcow2", *more)
        assert (said.code, last["diskTouched"]) == (code, True), said.err
        assert last["message"].startswith(message)


@pytest.mark.usefixtures("small_window")
def test_a_server_that_goes_away(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    gone = Serve(b"", status=410)
    url = server.on("/image", Serve(raw.read_bytes(), cut_after=40 * MIB), gone)
    said, last = deployed(command, url, disk, "raw", "--staging", "stream")
    assert said.code == 4, said.err
    assert last["message"].startswith("Could not download image located : http://")
    assert last["diskTouched"] is True
    assert not any(disk.read_bytes()[:MIB])


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("qcow2", b"<html>" + bytes(70_000), "Bad format image, expected : qcow2, raw."),
        ("raw", b"QFI\xfb" + bytes(70_000), "Bad format image, expected : qcow2, raw."),
        (
            "ova",
            bytes(257) + b"ustar" + bytes(70_000),
            "Bad format image, expected : qcow2, raw.",
        ),
    ],
)
def test_what_is_refused_by_its_beginning(
    command: CommandLine, server: MisbehavingServer, disk: Path, kind: str, body: bytes, message: str
) -> None:
    before = disk.read_bytes()
    url = server.on("/image", Serve(body, cut_after=len(body) - 1, end="stall"))
    said, last = deployed(command, url, disk, kind, "--staging", "stream")
    assert (said.code, last["message"]) == (3, message), said.err
    assert disk.read_bytes() == before


def test_a_raw_image_of_unknown_length(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    url = server.on("/image", Serve(raw.read_bytes(), length="none"))
    words = ("plan", "--url", url, "--type", "raw", "--disk", str(disk), "--staging", "stream", "--json")
    answer = json.loads(command(*words).out)
    assert (answer["complete"], answer["image"]["virtualSize"]) == (False, None)
    said, _ = deployed(command, url, disk, "raw", "--staging", "stream", "--verify")
    assert said.code == 0, said.err
    assert_deployed(disk, raw)


@pytest.mark.usefixtures("small_window")
def test_a_raw_image_of_unknown_length_that_is_too_large(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    os.truncate(disk, raw.stat().st_size + 2 * MIB)
    url = server.on("/image", Serve(raw.read_bytes() + bytes(4 * MIB), length="none"))
    said, last = deployed(command, url, disk, "raw", "--staging", "stream")
    assert (said.code, last["diskTouched"]) == (5, True)
    assert "larger than device" in last["message"] + last["detail"]
    assert "it has at least" in last["detail"]


@pytest.mark.parametrize("length", ["true", "none"])
def test_a_raw_image_larger_than_the_disk_and_the_memory(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    length: Literal["true", "none"],
) -> None:
    if length == "true":
        monkeypatch.setattr(MemoryBudget, "room", lambda _: 10 * MIB)
    os.truncate(disk, raw.stat().st_size - 2 * MIB)
    url, before = server.on("/image", Serve(raw.read_bytes(), length=length)), disk.read_bytes()
    said, last = deployed(command, url, disk, "raw", "--staging", "memory")
    assert (said.code, last["diskTouched"]) == (3, False), said.err
    assert f"larger than device of {62 * MIB} bytes" in last["message"]
    # The size is known where it was announced, and nowhere else.
    words = f"{2 * MIB} bytes are missing" if length == "true" else "it has at least"
    assert words in last["detail"]
    assert disk.read_bytes() == before


@pytest.mark.usefixtures("small_window")
def test_a_raw_image_of_unknown_length_that_was_cut_short(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    url = server.on("/image", Serve(raw.read_bytes()[: 40 * MIB], length="none"))
    said, last = deployed(command, url, disk, "raw", "--staging", "stream")
    assert (said.code, last["diskTouched"]) == (5, True), said.err
    assert disk.read_bytes()[:MIB] == bytes(MIB)


def test_a_qcow2_image_of_unknown_length(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    url = server.on("/image", Serve(qcow2(raw, "-c").read_bytes(), length="none"))
    words = ("plan", "--url", url, "--type", "qcow2", "--disk", str(disk), "--staging", "stream", "--json")
    assert json.loads(command(*words).out)["image"]["fileSize"] is None
    said, _ = deployed(command, url, disk, "qcow2", "--staging", "stream")
    assert said.code == 0, said.err
    assert_deployed(disk, raw)


@pytest.mark.parametrize("staging", ["auto", "memory"])
def test_a_server_with_little_memory(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    staging: str,
) -> None:
    monkeypatch.setattr(MemoryBudget, "room", lambda _: 10 * MIB)
    url = server.on("/image", Serve(raw.read_bytes()))
    said, last = deployed(command, url, disk, "raw", "--staging", staging)
    if staging == "memory":
        assert (said.code, last["diskTouched"]) == (3, False)
        assert last["message"] == "Could not download, raw image is too big to download in memory."
        taken = [0]

        def take(_: MemoryBudget, size: int) -> None:
            taken[0] += size
            if taken[0] > 10 * MIB:
                raise TooBigForMemory(needed=size, available=0)

        monkeypatch.setattr(MemoryBudget, "take", take)
        url = server.on("/image", Serve(raw.read_bytes(), length="none"))
        said, _ = deployed(command, url, disk, "raw", "--staging", "auto")
        assert said.code == 0, said.err
        assert_deployed(disk, raw)
    else:
        assert said.code == 0, said.err
        assert "it is written while it is downloaded" in said.err
        assert_deployed(disk, raw)


def test_the_plan_downloads_no_more_than_it_needs(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.deployment.staging.WINDOW", 50 * MIB)
    data = raw.read_bytes()
    url = server.on("/image", *[Serve(data, cut_after=56 * MIB, end="stall")] * 3)
    words = ("plan", "--url", url, "--type", "raw", "--disk", str(disk), "--staging", "stream")
    before = disk.read_bytes()
    shown = command(*words)
    assert shown.code == 0, shown.err
    assert "at most 50.0 MiB are held at a time: it is written while it comes" in shown.out
    answer = json.loads(command(*words, "--json").out)
    assert (answer["complete"], answer["image"]["checkSum"]) == (True, None)
    assert disk.read_bytes() == before


@pytest.mark.usefixtures("small_window")
def test_the_plan_says_what_comes_later(
    command: CommandLine, server: MisbehavingServer, late: Path, disk: Path
) -> None:
    url = server.on("/image", Serve(late.read_bytes()))
    words = ("plan", "--url", url, "--type", "raw", "--disk", str(disk), "--staging", "stream")
    shown = command(*words, "--boot-type", "uefi")
    assert shown.code == 0, shown.err
    assert "Later: how the disk boots" in " ".join(shown.out.split())
    answer = json.loads(command(*words, "--boot-type", "uefi", "--json").out)
    assert answer["complete"] is False
    assert answer["image"]["partitions"] == 3


def ova_of(raw: Path, **more: str) -> bytes:
    return ova(vmdk(raw, "streamOptimized").read_bytes(), **more)


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("kind", ["sha1", "sha512"])
def test_an_archive_that_is_larger_than_the_window(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path, kind: str
) -> None:
    data = ova_of(raw, kind=kind)
    assert len(data) > 13 * MIB
    url = server.on("/image", Serve(data, cut_after=9 * MIB), Serve(data, length="none"))
    checks = ("--check-sum", hashlib.sha256(data).hexdigest(), "--check-sum-type", "sha256", "--verify")
    said, last = deployed(command, url, disk, "ova", "--staging", "stream", *checks)
    assert said.code == 0, said.err
    assert_deployed(disk, raw)
    assert last["checksum"] == hashlib.sha256(data).hexdigest()


def test_an_archive_with_a_wrong_sum_does_not_boot(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    data = ova_of(raw)
    at = data.index(b"SHA256(box-disk1.vmdk)= ") + 24
    data = data[:at] + (b"0" if data[at : at + 1] != b"0" else b"1") + data[at + 1 :]
    said, last = deployed(command, server.on("/i", Serve(data)), disk, "ova", "--staging", "stream")
    assert (said.code, last["diskTouched"]) == (5, True), said.err
    assert "The manifest gives the sha256" in last["detail"]
    assert disk.read_bytes()[:MIB] == bytes(MIB)
    boot_signature = disk.read_bytes()[510:512]
    assert boot_signature == bytes(2)


@pytest.mark.usefixtures("small_window")
def test_an_archive_with_much_ahead_of_its_disk(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    files = {"box.ovf": ovf(), "tools.iso": os.urandom(20 * MIB), "box-disk1.vmdk": b""}
    files["box-disk1.vmdk"] = vmdk(raw, "streamOptimized").read_bytes()
    data = archive(files | {"box.mf": manifest(files)})
    said, _ = deployed(command, server.on("/i", Serve(data)), disk, "ova", "--staging", "stream")
    assert said.code == 0, said.err
    assert_deployed(disk, raw)


def test_the_rest_of_an_archive_does_not_come_in_silence(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    files = {"box.ovf": ovf(), "box-disk1.vmdk": vmdk(raw, "streamOptimized").read_bytes()}
    rest = 30 * MIB
    data = archive(files | {"tools.iso": os.urandom(rest), "box.mf": manifest(files)})
    slow = Serve(data, drip=MIB // 2, pause=0.05, cut_after=len(data) - 10 * MIB)
    url = server.on("/i", slow, Serve(data, drip=MIB // 2, pause=0.05))
    said, _ = deployed(command, url, disk, "ova", "--staging", "stream")
    assert said.code == 0, said.err
    assert_deployed(disk, raw)
    told = [event["bytesDone"] for event in progress_in(said, "write")]
    assert len({done for done in told if done > len(data) - rest + 3 * MIB}) > 3
    assert told == sorted(told)


@pytest.mark.parametrize("end", ["cut", "whole"])
def test_an_archive_without_its_disk(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path, end: str
) -> None:
    before, files = disk.read_bytes(), {"box.ovf": ovf("other.vmdk")}
    files["box-disk1.vmdk"] = vmdk(raw, "streamOptimized").read_bytes()
    data = archive(files)
    if end == "cut":
        data = data[:-1_000_000]
    said, last = deployed(command, server.on("/i", Serve(data)), disk, "ova", "--staging", "stream")
    assert (said.code, last["diskTouched"]) == (3, False), said.err
    assert ("was cut short" if end == "cut" else "names 'other.vmdk' as the file") in last["detail"]
    assert disk.read_bytes() == before


def test_an_archive_with_a_disk_that_can_not_be_written_while_it_comes(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path
) -> None:
    before, data = disk.read_bytes(), ova(vmdk(raw, "monolithicSparse").read_bytes())
    url = server.on("/i", *[Serve(data)] * 2)
    said, last = deployed(command, url, disk, "ova", "--staging", "stream")
    assert (said.code, last["diskTouched"]) == (3, False), said.err
    assert last["message"] == "The image can not be written while it is downloaded."
    assert "--staging memory" in last["hint"]
    assert disk.read_bytes() == before
    said, _ = deployed(command, url, disk, "ova")
    assert said.code == 0, said.err
    assert_deployed(disk, raw)


def limits(said: Said) -> set[str | None]:
    events = [json.loads(line) for line in said.out.splitlines()]
    return {event["limitedBy"] for event in events if event["event"] == "progress"}


def slowed(call: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    def slow(*arguments: Any) -> Any:
        time.sleep(seconds)
        return call(*arguments)

    return slow


@pytest.mark.parametrize("staging", ["memory", "stream"])
def test_a_slow_medium_is_no_network(
    command: CommandLine, raw: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, staging: str
) -> None:
    monkeypatch.setattr(LocalReply, "read", slowed(LocalReply.read, 0.01))
    said, _ = deployed(command, raw.as_uri(), disk, "raw", "--staging", staging)
    assert said.code == 0, said.err
    assert "network" not in limits(said)


@pytest.mark.parametrize("kind", ["raw", "ova"])
def test_sums_that_take_long_are_work_of_the_processor(
    command: CommandLine,
    server: MisbehavingServer,
    raw: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    if kind == "raw":
        monkeypatch.setattr(Digest, "update", slowed(Digest.update, 0.01))
    else:
        monkeypatch.setattr(passing._Passing, "take", slowed(passing._Passing.take, 0.04))
    data = raw.read_bytes() if kind == "raw" else ova_of(raw)
    said, _ = deployed(command, server.on("/i", Serve(data)), disk, kind, "--staging", "stream")
    assert said.code == 0, said.err
    assert "processor" in limits(said)
    assert "network" not in limits(said)


@pytest.mark.parametrize("staging", ["memory", "stream"])
def test_an_image_on_a_medium_and_its_mirrors(
    command: CommandLine, server: MisbehavingServer, raw: Path, disk: Path, staging: str
) -> None:
    data = raw.read_bytes()
    url = server.on("/image", Serve(data, cut_after=9 * MIB), Serve(status=503))
    checks = ("--check-sum", hashlib.sha256(data).hexdigest(), "--check-sum-type", "sha256")
    mirrors = ("--mirrors", server.on("/gone", Serve(status=404)), "--mirrors", raw.as_uri())
    said, _ = deployed(command, url, disk, "raw", "--staging", staging, *checks, *mirrors)
    assert said.code == 0, said.err
    assert_deployed(disk, raw)
    assert len(server.seen("/gone")) == 1
    said, last = deployed(command, (raw.parent / "none").as_uri(), disk, "raw", "--staging", staging)
    assert (said.code, last["diskTouched"]) == (4, False), said.err
    missing = (raw.parent / "none").as_uri()
    assert last["message"] == f"Could not download image located : {missing}."
    said, _ = deployed(command, raw.as_uri(), disk, "raw", "--staging", staging)
    assert said.code == 0, said.err
    assert_deployed(disk, raw)
