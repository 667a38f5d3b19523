"""Other disks that would win over the new one at boot are found and named; nothing is written to them."""

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.deployment.rival_disks import HeldRivals, hold_rivals, plan_erasing
from agent.deployment.rivals import Rival, describe_new_system, find_rivals
from agent.fetch.spool import Spool
from agent.firmware import Firmware
from agent.images.image import raw_image
from agent.request.model import Rivals
from partitioning.disks import IgnoredReason, file_disk
from partitioning.errors import DiskReadError, DiskWriteError
from partitioning.open_disk import OpenDisk
from partitioning.table import read_table
from partitioning.wipe import MARGIN
from tests.agent_process import CONFIGDRIVE, Agent, digest, request_for
from tests.disk.conftest import serve
from tests.misbehaving_server import MisbehavingServer
from tests.small_images import MIB, gpt_image, put, random_file, tool

ROOT_START = 36 * MIB


@pytest.fixture(scope="module")
def image_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image whose root partition is an ext4, so that it has a UUID."""
    path = gpt_image(tmp_path_factory.mktemp("rivals") / "image.raw")
    tool("mkfs.ext4", "-q", "-F", "-E", f"offset={ROOT_START}", path, f"{59 * 1024}k")
    return path


@pytest.fixture
def other(agent: Agent, server: MisbehavingServer, image_file: Path, disk: Path) -> Path:
    """The disk of an earlier deployment of the same image."""
    ended = agent.deploy(request_for(serve(server, image_file), disk, "raw", configdrive=CONFIGDRIVE))
    assert ended.code == 0, ended.people
    return disk


def rivals_of(image_file: Path, *others: Path, **more: Any) -> tuple[Rival, ...]:
    """What on the others would win over the image."""
    with Spool() as spool:
        spool.append(image_file.read_bytes())
        image = raw_image(fd=spool.fd, file_size=spool.size, reader=spool)
        wanted: dict[str, Any] = {"firmware": None, "has_config_drive": True, **more}
        disk = replace(file_disk(image_file), location="pci-2")
        new = describe_new_system(image, read_table(spool, 512), disk, **wanted)
    return find_rivals(new, [replace(file_disk(other), location="pci-1") for other in others])


def said(rivals: tuple[Rival, ...], policy: Rivals = Rivals.WARN) -> list[str]:
    return [rival.sentence(policy) for rival in rivals]


def test_both_kinds_are_named(image_file: Path, other: Path) -> None:
    before = digest(other)
    texts = said(rivals_of(image_file, other))
    uuid = tool("blkid", "-p", "-O", str(ROOT_START), "-s", "UUID", "-o", "value", image_file).strip()
    assert [f"Partition 1 of {other}" in text and uuid in text for text in texts].count(True) == 1
    assert [f"Partition 2 of {other} is labelled config-2" in text for text in texts].count(True) == 1
    advised = [text for text in texts if f"has the UUID {uuid}" in text]
    assert all(f"wipefs -a {other}1, or with options.rivals" in text for text in advised)
    assert digest(other) == before


def test_a_drive_there_does_not_matter_when_none_is_made(image_file: Path, other: Path) -> None:
    texts = said(rivals_of(image_file, other, has_config_drive=False))
    assert not [text for text in texts if "config-2" in text]


def test_a_whole_disk_without_a_table_is_looked_at(image_file: Path, tmp_path: Path) -> None:
    source = tmp_path / "drive"
    source.mkdir()
    medium = tmp_path / "medium.iso"
    tool("xorriso", "-as", "mkisofs", "-V", "CONFIG-2", "-o", medium, source)
    (rival,) = rivals_of(image_file, medium)
    assert rival.sentence(Rivals.WARN).startswith(f"{medium} is labelled config-2")
    assert rival.extent == (0, medium.stat().st_size)


def test_disks_that_hold_nothing_or_can_not_be_read_are_passed_over(image_file: Path, tmp_path: Path) -> None:
    noise, gone = random_file(tmp_path / "noise", 4 * MIB), random_file(tmp_path / "gone", MIB)
    disks = [file_disk(noise), file_disk(gone)]
    gone.unlink()
    with Spool() as spool:
        spool.append(image_file.read_bytes())
        image = raw_image(fd=spool.fd, file_size=spool.size, reader=spool)
        new = describe_new_system(
            image, read_table(spool, 512), disks[0], firmware=None, has_config_drive=True
        )
    assert find_rivals(new, disks) == ()


def test_boot_code_counts_on_a_legacy_server_and_on_a_disk_before(image_file: Path, other: Path) -> None:
    texts = said(rivals_of(image_file, other, firmware=Firmware.LEGACY))
    assert [f"{other} has boot code" in text for text in texts].count(True) == 1
    assert not [text for text in said(rivals_of(image_file, other)) if "has boot code" in text]


def overlapping_mbr(path: Path) -> None:
    """Damage the table so that nobody can tell where its partitions are."""
    raw = bytearray(path.read_bytes()[:512])
    raw[446:512] = bytes(64) + b"\x55\xaa"
    for slot, start in ((446, 2048), (462, 2049)):
        raw[slot + 4] = 0x83
        raw[slot + 8 : slot + 16] = start.to_bytes(4, "little") + (4096).to_bytes(4, "little")
    put(path, 0, bytes(raw))


def test_where_a_table_is_damaged_nothing_is_erased(image_file: Path, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    tool("mkfs.ext4", "-q", "-F", "-L", "config-2", medium, "64M")
    (rival,) = rivals_of(image_file, medium)
    assert rival.extent == (0, 64 * MIB)
    overlapping_mbr(medium)
    (rival,) = rivals_of(image_file, medium)
    assert rival.extent is None


def test_a_number_that_was_never_set_makes_no_rival(image_file: Path, tmp_path: Path) -> None:
    image, other = tmp_path / "image.raw", tmp_path / "other"
    image.write_bytes(image_file.read_bytes())
    for path, size, offset in ((tmp_path / "esp", 32 * MIB, 2 * MIB), (other, 64 * MIB, None)):
        path.touch()
        os.truncate(path, size)
        tool("mkfs.vfat", "-i", "00000000", path)
        if offset is not None:
            put(image, offset, path.read_bytes())
    assert rivals_of(image, other) == ()


def mbr_disk(path: Path, signature: int) -> Path:
    """A disk with one partition in an MBR, which has nothing recognisable in it."""
    random_file(path, 4 * MIB)
    entry = bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (4096).to_bytes(4, "little")
    put(path, 0, bytes(440) + signature.to_bytes(4, "little") + bytes(2) + entry + bytes(48) + b"\x55\xaa")
    return path


@pytest.mark.parametrize(("signature", "count"), [(0, 0), (0x1234, 1)])
def test_an_mbr_without_a_signature_gives_its_partitions_no_name(
    tmp_path: Path, signature: int, count: int
) -> None:
    image, other = (mbr_disk(tmp_path / name, signature) for name in ("image", "other"))
    texts = said(rivals_of(image, other))
    assert len(texts) == count
    assert all(f"has the PARTUUID {signature:08x}-01" in text for text in texts)


def test_a_short_number_is_warned_of_and_never_erased(image_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(image_file.read_bytes()[2 * MIB : 34 * MIB])
    (rival,) = rivals_of(image_file, other)
    assert rival.extent is None
    assert "has the UUID" in rival.trouble


def test_a_label_of_the_image_is_named_and_never_erased(tmp_path: Path) -> None:
    image, other = gpt_image(tmp_path / "image.raw"), gpt_image(tmp_path / "other.raw", seed=9)
    for path in (image, other):
        tool("mkfs.ext4", "-q", "-F", "-L", "cloudroot", "-E", f"offset={ROOT_START}", path, f"{59 * 1024}k")
    named = [rival for rival in rivals_of(image, other) if "has the label cloudroot" in rival.trouble]
    assert [rival.extent for rival in named] == [None]


def refuse(text: str) -> None:
    raise AssertionError(text)


def held_rivals(image_file: Path, other: Path, stack: ExitStack) -> tuple[HeldRivals, tuple[Rival, ...]]:
    """Hold what would be erased from ``other``."""
    with Spool() as spool:
        spool.append(image_file.read_bytes())
        image = raw_image(fd=spool.fd, file_size=spool.size, reader=spool)
        new = describe_new_system(
            image, read_table(spool, 512), file_disk(image_file), firmware=None, has_config_drive=True
        )
    plan = plan_erasing(rivals_of(image_file, other), new)
    return hold_rivals(plan, stack, lambda _: None), plan.rivals


def test_what_went_with_the_wipe_of_the_chosen_disk_is_left_alone(image_file: Path, other: Path) -> None:
    deployed = other.read_bytes()
    warnings: list[str] = []
    with ExitStack() as stack:
        held, rivals = held_rivals(image_file, other, stack)
        # What a wipe and a deployment do to it when it is the chosen disk over another path.
        other.write_bytes(bytes(len(deployed)))
        held.forget_what_went(warnings.append)
        other.write_bytes(deployed)
        assert held.erase(refuse, refuse) == frozenset()
    assert len(warnings) == len(rivals) >= 2
    assert all("another path" in warning for warning in warnings)
    assert other.read_bytes() == deployed


def test_one_that_can_not_be_erased_is_named_and_the_rest_goes_on(
    image_file: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    notes: list[str] = []
    with ExitStack() as stack:
        held, rivals = held_rivals(image_file, other, stack)
        broken = rivals[0].extent
        assert broken is not None
        zero = OpenDisk.zero

        def failing(disk: OpenDisk, offset: int, length: int) -> None:
            if offset == broken[0]:
                raise DiskWriteError("Writing failed.", detail="Input/output error.", hint="h")
            zero(disk, offset, length)

        monkeypatch.setattr(OpenDisk, "zero", failing)
        left = held.erase(notes.append, warnings.append)
    assert left == {rivals[0].partuuid}
    assert len(notes) == len(rivals) - 1
    (warning,) = warnings
    assert warning.startswith(f"{rivals[0].name} could not be erased")
    assert "Input/output error" in warning


def test_one_that_can_not_be_read_again_is_told_of(
    image_file: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    before = other.read_bytes()

    def failing(_disk: OpenDisk, _length: int, _offset: int) -> bytes:
        raise DiskReadError("Reading failed.", detail="Input/output error.", hint="h")

    with ExitStack() as stack:
        held, rivals = held_rivals(image_file, other, stack)
        monkeypatch.setattr(OpenDisk, "pread", failing)
        assert held.erase(refuse, warnings.append) == {rival.partuuid for rival in rivals}
        held.forget_what_went(lambda _: None)
        # What can not be read is left alone, and so are its boot entries.
        assert held.erase(refuse, refuse) == {rival.partuuid for rival in rivals}
    assert len(warnings) == len(rivals)
    assert other.read_bytes() == before


def test_a_medium_that_can_not_be_written_to_is_only_warned_of(image_file: Path, other: Path) -> None:
    with Spool() as spool:
        spool.append(image_file.read_bytes())
        image = raw_image(fd=spool.fd, file_size=spool.size, reader=spool)
        new = describe_new_system(
            image, read_table(spool, 512), file_disk(image_file), firmware=None, has_config_drive=True
        )
    found = find_rivals(new, [replace(file_disk(other), ignored=IgnoredReason.READ_ONLY)])
    assert found
    assert {rival.extent for rival in found} == {None}


@pytest.mark.parametrize("kind", ["luks", "swap"])
def test_what_cloud_init_can_not_read_is_no_config_drive(image_file: Path, tmp_path: Path, kind: str) -> None:
    other = random_file(tmp_path / "other", 32 * MIB)
    if kind == "swap":
        tool("mkswap", "-L", "config-2", other)
    else:
        # Magic, version 2, and the label at byte 24 (LUKS2 on-disk format, section 2.1).
        put(other, 0, b"LUKS\xba\xbe\0\x02" + bytes(16) + b"config-2".ljust(48, b"\0"))
    assert rivals_of(image_file, other) == ()


def test_what_is_erased_is_no_rival_any_more_and_all_else_stays(image_file: Path, other: Path) -> None:
    before = other.read_bytes()
    rivals = rivals_of(image_file, other)
    doomed = [rival for rival in rivals if rival.extent is not None]
    assert len(doomed) >= 2
    with Spool() as spool:
        spool.append(image_file.read_bytes())
        image = raw_image(fd=spool.fd, file_size=spool.size, reader=spool)
        new = describe_new_system(
            image, read_table(spool, 512), file_disk(image_file), firmware=None, has_config_drive=True
        )
    plan = plan_erasing(rivals, new)
    notes: list[str] = []
    with ExitStack() as stack:
        held = hold_rivals(plan, stack, lambda _: None)
        held.forget_what_went(refuse)
        assert other.read_bytes() == before
        assert held.erase(notes.append, refuse) == frozenset()
    assert len(notes) == len(doomed)
    assert not [rival for rival in rivals_of(image_file, other) if rival.extent is not None]
    after = other.read_bytes()
    extents = [rival.extent for rival in doomed if rival.extent is not None]
    for start, size in extents:
        assert not any(after[start : start + min(size, MARGIN)])
    outside = [at for at in range(0, len(after), 4096) if before[at : at + 4096] != after[at : at + 4096]]
    assert all(any(start <= at < start + size for start, size in extents) for at in outside)
