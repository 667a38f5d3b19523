import dataclasses
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configdrive import drive
from configdrive.drive import DriveImage, FileSystemKind, build, partition_size, verify, write
from configdrive.errors import ConfigDriveError
from configdrive.metadata import ConfigDriveData
from partitioning.byte_access import BytesReader

MIB = 1 << 20
SECRET = "hunter2-in-the-user-data"
SECTOR_SIZES = [512, 4096]


class MemoryStore:
    """A ByteStore in memory, full of what stood there before."""

    def __init__(self, size: int) -> None:
        self.content = bytearray(b"\xa5" * size)

    @property
    def size(self) -> int:
        return len(self.content)

    def pread(self, length: int, offset: int) -> bytes:
        return BytesReader(bytes(self.content)).pread(length, offset)

    def pwrite(self, data: bytes, offset: int) -> None:
        assert offset + len(data) <= self.size
        self.content[offset : offset + len(data)] = data


def data_with(user_data: bytes | None = SECRET.encode()) -> ConfigDriveData:
    return ConfigDriveData(
        instance_uuid=uuid.UUID(int=7),
        hostname="web",
        ssh_keys=(SECRET,),
        user_data=user_data,
        meta={"k": "v"},
    )


def written(image: DriveImage, *, offset: int = 3 * MIB) -> MemoryStore:
    store = MemoryStore(offset + partition_size(image) + MIB)
    write(store, offset, partition_size(image), image)
    return store


def test_an_iso_where_it_can_be_mounted_and_a_fat_where_not() -> None:
    assert build(data_with(), sector_size=512).kind is FileSystemKind.ISO9660
    assert build(data_with(), sector_size=4096).kind is FileSystemKind.VFAT
    assert build(data_with(), sector_size=1024).kind is FileSystemKind.VFAT


def test_the_partition_type_is_one_the_file_system_is_found_under() -> None:
    iso, fat = (build(data_with(), sector_size=size).partition_type for size in SECTOR_SIZES)
    assert (str(iso.guid), iso.mbr) == ("0fc63daf-8483-4772-8e79-3d69d8477de4", 0x83)
    assert (str(fat.guid), fat.mbr) == ("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", 0x0E)


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
@pytest.mark.parametrize("length", [0, MIB - 1, MIB, 5 * MIB])
def test_the_partition_has_whole_mibs_and_room(length: int, sector_size: int) -> None:
    image = build(data_with(b"x" * length), sector_size=sector_size)
    size = partition_size(image)
    assert size >= MIB
    assert size % MIB == 0
    assert size - MIB < len(image.data) <= size
    assert image.content_size <= len(image.data)
    assert len(image.data) % sector_size == 0


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_nothing_old_remains_in_the_partition_and_nothing_outside_changes(sector_size: int) -> None:
    image = build(data_with(), sector_size=sector_size)
    size = partition_size(image) + 2 * MIB + sector_size
    store = MemoryStore(8 * MIB)
    write(store, MIB, size, image)
    assert store.content[:MIB] == b"\xa5" * MIB
    assert store.content[MIB : MIB + len(image.data)] == image.data
    assert not any(store.content[MIB + len(image.data) : MIB + size])
    assert store.content[MIB + size :] == b"\xa5" * (7 * MIB - size)


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_what_was_written_verifies(sector_size: int) -> None:
    image = build(data_with(), sector_size=sector_size)
    verify(written(image), 3 * MIB, image)


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
@pytest.mark.parametrize("place", [0, 32769, 70_000, -1])
def test_one_wrong_bit_is_noticed_and_placed(place: int, sector_size: int) -> None:
    image = build(data_with(), sector_size=sector_size)
    store = written(image)
    at = place % len(image.data)
    store.content[3 * MIB + at] ^= 1
    with pytest.raises(ConfigDriveError, match=f"From byte {at} of the partition on"):
        verify(store, 3 * MIB, image)


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_a_file_system_that_holds_other_files_than_it_should_is_noticed(sector_size: int) -> None:
    image = build(data_with(), sector_size=sector_size)
    wrong = dict(image.files) | {"openstack/latest/user_data": b"other"}
    with pytest.raises(ConfigDriveError) as caught:
        verify(written(image), 3 * MIB, dataclasses.replace(image, files=wrong))
    assert caught.value.detail == "These files are not what they should be: openstack/latest/user_data."
    assert SECRET not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_a_missing_file_is_noticed(sector_size: int) -> None:
    image = build(data_with(), sector_size=sector_size)
    more = dict(image.files) | {"openstack/latest/vendor_data.json": b"{}"}
    with pytest.raises(ConfigDriveError, match=r"vendor_data\.json"):
        verify(written(image), 3 * MIB, dataclasses.replace(image, files=more))


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_a_file_system_that_cannot_be_parsed_is_noticed(sector_size: int) -> None:
    image = build(data_with(), sector_size=sector_size)
    empty = dataclasses.replace(image, data=bytes(len(image.data)))
    with pytest.raises(ConfigDriveError, match="cannot be read back"):
        verify(written(empty), 3 * MIB, empty)


def test_too_small_a_partition_is_refused_before_anything_is_written() -> None:
    image = build(data_with(b"x" * MIB), sector_size=512)
    store = MemoryStore(4 * MIB)
    with pytest.raises(ConfigDriveError, match="does not fit its partition"):
        write(store, 0, MIB, image)
    with pytest.raises(ConfigDriveError, match="does not fit its partition"):
        write(store, 3 * MIB, 2 * MIB, image)
    assert store.content == b"\xa5" * (4 * MIB)


def test_a_tail_is_padded_to_whole_sectors(monkeypatch: pytest.MonkeyPatch) -> None:
    # Both file systems are whole sectors as it is; that a disk can take the bytes must not rest on it.
    monkeypatch.setattr(drive, "build_iso", lambda _: b"x" * 1000)
    image = build(data_with(), sector_size=512)
    assert image.content_size == 1000
    assert image.data == b"x" * 1000 + bytes(24)


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_secrets_do_not_show_in_the_repr(sector_size: int) -> None:
    shown = repr(build(data_with(), sector_size=sector_size))
    assert SECRET not in shown
    assert len(shown) < 500


def test_user_data_of_16_mib_survives() -> None:
    user_data = bytes(range(256)) * (16 * MIB // 256)
    for sector_size in SECTOR_SIZES:
        image = build(data_with(user_data), sector_size=sector_size)
        verify(written(image), 3 * MIB, image)
        assert image.files["openstack/latest/user_data"] == user_data


@settings(deadline=None)
@given(user_data=st.binary(max_size=5000), sector_size=st.sampled_from(SECTOR_SIZES))
def test_any_user_data_survives(user_data: bytes, sector_size: int) -> None:
    image = build(data_with(user_data), sector_size=sector_size)
    assert image.files["openstack/2018-08-27/user_data"] == user_data
    verify(BytesReader(image.data), 0, image)
