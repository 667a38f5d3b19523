"""Every documented message by its real cause, with its exit code, and the disk unchanged bit for bit."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.agent_process import CONFIGDRIVE, Agent, Ended, digest, request_for
from tests.disk.conftest import MakeLoop, serve
from tests.misbehaving_server import MisbehavingServer, Serve
from tests.ova_samples import DESCRIPTOR, archive, ova, ovf, stream_optimised
from tests.small_images import MIB, gpt_image, mbr_image, put, qcow2, random_file, tool

HTML = b"<!DOCTYPE html><html><body><h1>Not found</h1></body></html>" + b" " * 1000
FAR = "Mon, 01 Jan 99999999999 00:00:00 GMT"


@contextmanager
def unchanged(disk: Path) -> Iterator[None]:
    """The disk has the same digest afterwards."""
    before = digest(disk)
    yield
    assert digest(disk) == before


def check(ended: Ended, code: int, message: str) -> None:
    """The exit code, the message to the letter, an untouched disk, and more words than the message."""
    assert (ended.code, ended.message) == (code, message), ended.people
    assert ended.status["status"] == "error"
    assert ended.status["diskTouched"] is False
    assert ended.status["detail"] not in ("", message)
    assert ended.status["hint"]
    assert message in ended.people


def test_wrong_checksum(agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path) -> None:
    wrong = {"checkSum": "AB" * 32, "checkSumType": "sha256"}
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, qcow2_gpt), disk, **wrong))
    actual = digest(qcow2_gpt)
    check(ended, 4, f"Bad sha256 for downloaded file, got : {actual} while expecting {wrong['checkSum']}.")
    assert ended.status["checksum"] == actual


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha512"])
def test_other_sums_are_checked(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path, kind: str
) -> None:
    right = tool(f"{kind}sum", qcow2_gpt).split()[0]
    url = serve(server, qcow2_gpt)
    assert agent.deploy(request_for(url, disk, checkSum=right.upper(), checkSumType=kind)).code == 0
    wrong = right[::-1]
    with unchanged(disk):
        ended = agent.deploy(request_for(url, disk, checkSum=wrong, checkSumType=kind))
    check(ended, 4, f"Bad {kind} for downloaded file, got : {right} while expecting {wrong}.")


@pytest.mark.parametrize("status", [404, 403, 500])
def test_http_error(agent: Agent, server: MisbehavingServer, disk: Path, status: int) -> None:
    url = server.on("/image", Serve(HTML, status=status))
    with unchanged(disk):
        ended = agent.deploy(request_for(f"{url}?token=abc", disk))
    check(ended, 4, f"Could not download image located : {url}.")
    assert str(status) in ended.status["detail"]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"Content-Length": "9" * 5000}),
        (206, {"Content-Range": f"bytes 0-{'9' * 5000}/{'9' * 5000}"}),
        (200, {"Date": FAR, "Last-Modified": FAR}),
        (503, {"Retry-After": FAR}),
        (503, {"Retry-After": "9" * 5000}),
    ],
)
def test_numbers_that_can_not_be(
    agent: Agent, server: MisbehavingServer, disk: Path, status: int, headers: dict[str, str]
) -> None:
    broken = Serve(b"x" * 1000, status=status, headers=headers, length="none", cut_after=0, end="reset")
    url = server.on("/image", broken)
    with unchanged(disk):
        ended = agent.deploy(request_for(url, disk))
    check(ended, 4, f"Could not download image located : {url}.")


def test_truncated_body(agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path) -> None:
    body = qcow2_gpt.read_bytes()
    url = server.on("/image", Serve(body, cut_after=len(body) // 2, ranges=False))
    with unchanged(disk):
        ended = agent.deploy(request_for(url, disk))
    check(ended, 4, f"Could not download image located : {url}.")


def test_connection_refused(agent: Agent, disk: Path) -> None:
    from tests.misbehaving_server import unused_port

    url = f"http://127.0.0.1:{unused_port()}/image"
    with unchanged(disk):
        ended = agent.deploy(request_for(url, disk))
    check(ended, 4, f"Could not download image located : {url}.")


@pytest.mark.parametrize("kind", ["qcow2", "raw"])
def test_page_instead_of_an_image(agent: Agent, server: MisbehavingServer, disk: Path, kind: str) -> None:
    with unchanged(disk):
        ended = agent.deploy(request_for(server.on("/image", Serve(HTML)), disk, kind))
    check(ended, 3, "Bad format image, expected : qcow2, raw.")
    assert "HTML" in ended.status["detail"]


def test_raw_that_is_qcow2(agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path) -> None:
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, qcow2_gpt), disk, "raw"))
    check(ended, 3, "Bad format image, expected : qcow2, raw.")


def test_qcow2_that_is_raw(agent: Agent, server: MisbehavingServer, raw_gpt: Path, disk: Path) -> None:
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, raw_gpt), disk))
    check(ended, 3, "Bad format image, expected : qcow2, raw.")


def test_unknown_type(agent: Agent, disk: Path) -> None:
    with unchanged(disk):
        done = agent.run(
            "deploy", "--url", "http://127.0.0.1/x", "--type", "iso", "--disk", str(disk), "--yes"
        )
    assert done.returncode == 2
    assert "Bad format image, expected : qcow2, raw." in done.stderr


def test_unknown_checksum_type(agent: Agent, disk: Path) -> None:
    words = ["--url", "http://127.0.0.1/x", "--type", "raw", "--check-sum", "00", "--check-sum-type", "crc32"]
    done = agent.run("deploy", *words, "--disk", str(disk), "--yes")
    assert done.returncode == 2
    assert "Bad checkSumType, expected : sha1, sha256, md5." in done.stderr


def test_checksum_without_type(agent: Agent, disk: Path) -> None:
    words = ["--url", "http://127.0.0.1/x", "--type", "raw", "--check-sum", "00"]
    done = agent.run("deploy", *words, "--disk", str(disk), "--yes")
    assert done.returncode == 2
    assert "Please provide checkSum AND checkSumType or none of them" in done.stderr


def test_image_larger_than_the_disk(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, raw_gpt: Path, tmp_path: Path
) -> None:
    small = random_file(tmp_path / "small", 64 * MIB)
    expected = (
        f"image provided has a size of {96 * MIB} bytes which is larger than device of {64 * MIB} bytes"
    )
    for path, kind in ((qcow2_gpt, "qcow2"), (raw_gpt, "raw")):
        with unchanged(small):
            ended = agent.deploy(request_for(serve(server, path), small, kind))
        check(ended, 3, expected)


def test_image_too_large_is_not_downloaded(
    agent: Agent, server: MisbehavingServer, raw_gpt: Path, tmp_path: Path
) -> None:
    small = random_file(tmp_path / "small", 64 * MIB)
    # Nothing comes after the first bytes: who waits for the whole waits for ever.
    endless = Serve(raw_gpt.read_bytes(), cut_after=256 << 10, end="stall")
    ended = agent.deploy(request_for(server.on("/image", endless), small, "raw"))
    assert "larger than device" in ended.message


@pytest.mark.parametrize("staging", ["memory", "stream"])
def test_what_the_beginning_of_an_archive_tells_is_not_waited_for(
    agent: Agent, server: MisbehavingServer, raw_gpt: Path, tmp_path: Path, staging: str
) -> None:
    small = random_file(tmp_path / "small", 64 * MIB)
    child = DESCRIPTOR.replace(b"ffffffff", b"7b0a4f1d")
    vmdk = stream_optimised(raw_gpt.read_bytes())
    two = archive({"box.ovf": ovf(disks=2), "box-disk1.vmdk": vmdk})
    cases = (
        (ova(vmdk), f"has a size of {96 * MIB} bytes which is larger than device of {64 * MIB} bytes"),
        (ova(stream_optimised(bytes(4 * MIB), descriptor=child)), "its disk has a parent"),
        (two, "Bad format image"),
    )
    for body, words in cases:
        url = server.on("/image", Serve(body.ljust(1 * MIB, b"\0"), cut_after=256 << 10, end="stall"))
        with unchanged(small):
            ended = agent.deploy(request_for(url, small, "ova", options={"staging": staging}))
        assert (ended.code, words in ended.message) == (3, True), ended.people


@pytest.mark.parametrize("kind", ["qcow2", "raw"])
def test_image_larger_than_memory(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, kind: str, tmp_path: Path
) -> None:
    huge = tmp_path / "huge"
    huge.touch()
    os.truncate(huge, 14 << 40 if kind == "raw" else 160 * MIB)
    body = qcow2_gpt.read_bytes()[:65536] if kind == "qcow2" else bytes(510) + b"\x55\xaa" + bytes(65024)
    url = server.on("/image", Serve(body, length=13 << 40, end="stall"))
    before = huge.stat().st_blocks, huge.stat().st_mtime_ns
    ended = agent.deploy(request_for(url, huge, kind, options={"staging": "memory"}))
    check(ended, 3, f"Could not download, {kind} image is too big to download in memory.")
    assert (huge.stat().st_blocks, huge.stat().st_mtime_ns) == before


def test_qcow2_with_a_backing_file(
    agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    overlay = tmp_path / "overlay.qcow2"
    tool("qemu-img", "create", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", overlay, "96M")
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, overlay), disk))
    check(ended, 3, "The image can not be used: it has a backing file.")


def test_qcow2_with_a_data_file(agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path) -> None:
    image, data = tmp_path / "image.qcow2", tmp_path / "data"
    tool("qemu-img", "create", "-f", "qcow2", "-o", f"data_file={data}", image, "96M")
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk))
    check(ended, 3, "The image can not be used: its data is in another file.")


def test_encrypted_qcow2(agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path) -> None:
    image = _encrypted(tmp_path / "image.qcow2")
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk))
    check(ended, 3, "The image can not be used: it is encrypted.")


def _encrypted(path: Path) -> Path:
    secret = ["--object", "secret,id=s,data=geheim", "-o", "encrypt.format=luks,encrypt.key-secret=s"]
    argv = ["qemu-img", "create", "-f", "qcow2", *secret, "-o", "encrypt.iter-time=10", str(path), "96M"]
    # qemu-img times its own key derivation, and now and then gives up: "Unable to get accurate CPU usage".
    for _ in range(50):
        if subprocess.run(argv, capture_output=True, check=False).returncode == 0:
            return path
    raise AssertionError("qemu-img could not make an encrypted image")


@pytest.mark.parametrize(("byte", "why"), [(0x20, "features that are not known"), (0x02, "marked corrupt")])
def test_incompatible_features(
    agent: Agent,
    server: MisbehavingServer,
    qcow2_gpt: Path,
    disk: Path,
    tmp_path: Path,
    byte: int,
    why: str,
) -> None:
    image = tmp_path / "image.qcow2"
    image.write_bytes(qcow2_gpt.read_bytes())
    put(image, 79, bytes([byte]))
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk))
    assert ended.code == 3
    assert why in ended.message


def test_qcow2_that_was_cut_short_at_its_source(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    image = tmp_path / "image.qcow2"
    image.write_bytes(qcow2_gpt.read_bytes()[: -4 * MIB])
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk))
    check(ended, 3, "Bad format image, expected : qcow2, raw.")


@pytest.mark.parametrize("options", [("cluster_size=64k",), ("cluster_size=2M", "-c")])
def test_qcow2_that_lost_the_end_of_its_last_cluster(
    agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    raw = mbr_image(tmp_path / "image.raw")
    put(raw, 63 * MIB, os.urandom(MIB))
    image = qcow2(raw, "-o", *options)
    os.truncate(image, image.stat().st_size - 2000)
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk))
    check(ended, 3, "Bad format image, expected : qcow2, raw.")
    assert "was cut short" in ended.status["detail"]


def test_qcow2_with_very_many_snapshots(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    image = tmp_path / "image.qcow2"
    image.write_bytes(qcow2_gpt.read_bytes())
    put(image, 60, (65536).to_bytes(4, "big"))
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk))
    check(ended, 3, "Bad format image, expected : qcow2, raw.")
    assert "65536 internal snapshots" in ended.status["detail"]


def test_user_data_that_is_too_long(agent: Agent, disk: Path) -> None:
    drive = {"enable": True, "userData": "x" * (MIB + 1)}
    request = json.dumps(request_for("http://127.0.0.1/x", disk, "raw", configdrive=drive))
    with unchanged(disk):
        done = agent.run("deploy", "-", "--yes", stdin=request.encode())
    assert done.returncode == 2
    assert "configdrive.userData: it has 1048577 bytes" in done.stderr.replace("\n", " ")


def test_image_without_a_partition_table(
    agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    image = tmp_path / "fs.raw"
    image.touch()
    os.truncate(image, 64 * MIB)
    tool("mkfs.vfat", image)
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk, "raw"))
    check(ended, 3, "The image's partition table can not be used.")


def test_image_with_a_damaged_table(
    agent: Agent, server: MisbehavingServer, raw_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    image = tmp_path / "damaged.raw"
    image.write_bytes(raw_gpt.read_bytes())
    put(image, 1024 + 32, b"\xff")
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk, "raw"))
    check(ended, 3, "The image's partition table can not be used.")


@pytest.mark.parametrize(
    ("boot_type", "boot_code", "esp", "reason"),
    [
        ("uefi", True, False, "no EFI system partition. No grub.cfg was found"),
        ("legacy", False, True, "no boot code"),
        ("auto", False, False, "no boot code"),
    ],
)
def test_image_that_would_not_boot(
    agent: Agent,
    server: MisbehavingServer,
    disk: Path,
    tmp_path: Path,
    boot_type: str,
    boot_code: bool,
    esp: bool,
    reason: str,
) -> None:
    image = gpt_image(tmp_path / "image.raw", boot_code=boot_code, esp=esp)
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk, "raw", options={"bootType": boot_type}))
    assert (ended.code, ended.status["diskTouched"]) == (3, False)
    assert "can not boot" in ended.message
    assert reason in ended.status["detail"]


def test_esp_without_a_loader(agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path) -> None:
    from tests.small_images import esp_with_loader

    image = gpt_image(tmp_path / "image.raw")
    put(image, 2 * MIB, esp_with_loader(tmp_path / "esp", 32 * MIB, loader="GRUBX64.EFI"))
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk, "raw", options={"bootType": "uefi"}))
    assert ended.code == 3
    assert r"with what it starts beside it: \EFI\BOOT\GRUBX64.EFI." in ended.status["detail"]


def test_no_room_for_the_config_drive(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, tmp_path: Path
) -> None:
    disk = random_file(tmp_path / "exact", 96 * MIB)
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, qcow2_gpt), disk, configdrive=CONFIGDRIVE))
    check(ended, 3, "Could not create configdrive on disk.")


def test_four_primary_partitions(agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path) -> None:
    image = mbr_image(tmp_path / "four.raw", partitions=4)
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk, "raw", configdrive=CONFIGDRIVE))
    check(ended, 3, "Could not create configdrive on disk.")
    assert "four primary" in ended.status["detail"]


def test_no_such_disk(agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, tmp_path: Path) -> None:
    ended = agent.deploy(request_for(serve(server, qcow2_gpt), tmp_path / "nothing"))
    check(ended, 3, f"There is no disk at {tmp_path / 'nothing'}.")
    assert ended.status["hint"].endswith(
        "A file that is to be used as a disk has to exist: truncate -s SIZE FILE"
    )


def test_no_such_group(agent: Agent, server: MisbehavingServer, qcow2_gpt: Path) -> None:
    request = {"URL": serve(server, qcow2_gpt), "type": "qcow2", "diskGroupId": 77}
    ended = agent.deploy(request)
    check(ended, 3, "There is no disk group 77.")


def test_file_that_somebody_uses_through_a_loop_device(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path, make_loop: MakeLoop
) -> None:
    device = make_loop(disk)
    with device.open("rb"), unchanged(disk):
        ended = agent.deploy(request_for(serve(server, qcow2_gpt), disk))
    check(ended, 3, f"The disk {disk} could not be released.")
    assert device.name in ended.status["detail"]


def test_disk_in_swap(
    agent: Agent, server: MisbehavingServer, qcow2_gpt: Path, disk: Path, make_loop: MakeLoop
) -> None:
    device = make_loop(disk)
    tool("mkswap", device)
    tool("swapon", device)
    try:
        ended = agent.deploy(request_for(serve(server, qcow2_gpt), device))
    finally:
        tool("swapoff", device)
    assert (ended.code, ended.status["diskTouched"]) == (3, False)
    assert "swap" in ended.message + ended.status["detail"]


def test_without_terminal_and_yes(agent: Agent, disk: Path) -> None:
    with unchanged(disk):
        done = agent.run("deploy", "--url", "http://127.0.0.1/x", "--type", "raw", "--disk", str(disk))
    assert done.returncode == 2
    assert "--yes" in done.stderr


def test_a_logical_drive_of_the_image_that_is_too_small(
    agent: Agent, server: MisbehavingServer, disk: Path, tmp_path: Path
) -> None:
    image = _image_with_a_logical_drive(tmp_path)
    large = CONFIGDRIVE | {"userData": "#!/bin/sh\n" + "# padding\n" * 50_000}
    with unchanged(disk):
        ended = agent.deploy(request_for(serve(server, image), disk, "raw", configdrive=large))
    check(ended, 3, "Could not create configdrive on disk.")
    assert "Partition 5" in ended.status["detail"]


def _image_with_a_logical_drive(tmp_path: Path) -> Path:
    """An MBR image whose own ConfigDrive is a small logical partition."""
    image = tmp_path / "logical.raw"
    image.touch()
    os.truncate(image, 64 * MIB)
    lines = ["label: dos", "start=2048, size=65536, type=83", "start=67584, size=32768, type=5"]
    tool("sfdisk", "-q", image, stdin="\n".join([*lines, "start=69632, size=256, type=c"]).encode())
    put(image, 0, os.urandom(440))
    small = tmp_path / "small.fat"
    small.touch()
    os.truncate(small, 256 * 512)
    tool("mkfs.vfat", "-n", "CONFIG-2", small)
    put(image, 69632 * 512, small.read_bytes())
    return image


def test_a_second_drive_in_the_image_is_named(
    agent: Agent, server: MisbehavingServer, raw_gpt: Path, disk: Path, tmp_path: Path
) -> None:
    image = tmp_path / "two.raw"
    image.write_bytes(raw_gpt.read_bytes())
    os.truncate(image, 112 * MIB)
    tool("sgdisk", "-e", "-n", "7:200704:+4M", "-n", "8:212992:+4M", image)
    source = tmp_path / "drive"
    source.mkdir()
    for number, start in enumerate((200704, 212992)):
        iso = tmp_path / f"{number}.iso"
        tool("xorriso", "-as", "mkisofs", "-V", "config-2", "-o", iso, source)
        put(image, start * 512, iso.read_bytes())
    ended = agent.deploy(request_for(serve(server, image), disk, "raw", configdrive=CONFIGDRIVE))
    assert ended.code == 0, ended.people
    assert any("Partition 8" in warning for warning in ended.status["warnings"])
