import re
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configdrive.errors import ConfigDriveError
from configdrive.fat_image import build_fat, fat_size, read_fat
from partitioning.byte_access import BytesReader
from partitioning.fat.file_system import FatFileSystem

MIB = 1 << 20
FILES = {
    "openstack/latest/meta_data.json": b'{"uuid": "x"}',
    "openstack/latest/user_data": b"\0\xff\r\n",
    "openstack/2018-08-27/a_name_of_26_letters_23456": b"x" * 5000,
    "openstack/2018-08-27/vendor_data.json": b"",
    "UPPER.TXT": b"short name",
}
SECTOR_SIZES = [512, 1024, 2048, 4096]


def clusters(image: bytes) -> int:
    size, per_cluster, reserved, fats, entries, small, _, fat = struct.unpack_from("<HBHBHHBH", image, 11)
    (large,) = struct.unpack_from("<I", image, 32)
    data = reserved + fats * fat + entries * 32 // size
    count: int = ((small or large) - data) // per_cluster
    return count


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_what_is_put_in_comes_out(sector_size: int) -> None:
    assert read_fat(build_fat(FILES, sector_size, MIB)) == FILES


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
def test_the_boot_sector_counts_in_the_disks_sectors(sector_size: int) -> None:
    image = build_fat(FILES, sector_size, MIB)
    assert struct.unpack_from("<H", image, 11) == (sector_size,)
    assert image[510:512] == b"\x55\xaa"
    assert len(image) == MIB


def test_the_label_stands_in_the_root_directory_and_in_the_boot_sector() -> None:
    image = build_fat(FILES, 4096, MIB)
    assert FatFileSystem(BytesReader(image)).label == "config-2"
    assert image[43:54] == b"config-2   "


def test_the_same_files_give_the_same_image() -> None:
    turned = dict(reversed(FILES.items()))
    assert build_fat(FILES, 4096, MIB) == build_fat(turned, 4096, MIB)


def test_other_files_give_another_serial_number() -> None:
    other = FILES | {"UPPER.TXT": b"other"}
    serials = {build_fat(files, 4096, MIB)[39:43] for files in (FILES, other)}
    assert len(serials) == 2


def test_both_fats_are_the_same() -> None:
    image = build_fat(FILES, 4096, MIB)
    assert any(image[4096:8192])
    assert image[4096:8192] == image[8192:12288]


@pytest.mark.parametrize("sector_size", SECTOR_SIZES)
@pytest.mark.parametrize("mib", [1, 3, 15, 16, 17, 33, 64, 260])
def test_the_type_follows_from_a_cluster_count_that_is_not_near_the_limit(mib: int, sector_size: int) -> None:
    image = build_fat({"user_data": b"x"}, sector_size, mib * MIB)
    count = clusters(image)
    assert abs(count - 4085) > 16
    assert count <= 65524
    assert image[54:62] == (b"FAT12   " if count < 4085 else b"FAT16   ")
    assert FatFileSystem(BytesReader(image)).bits == (12 if count < 4085 else 16)
    # All but a few hundred KiB are in use, so nothing is wasted where the type changes.
    assert count * image[13] * sector_size > mib * MIB * 0.9


@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize("length", [0, 1, 900_000, MIB, 7 * MIB, 16 * MIB + 1])
def test_the_size_asked_for_is_the_least_in_mibs(length: int, sector_size: int) -> None:
    files = {"user_data": b"x" * length}
    size = fat_size(files, sector_size)
    assert size % MIB == 0
    assert read_fat(build_fat(files, sector_size, size)) == files
    if size > MIB:
        with pytest.raises(ConfigDriveError, match="too small for what it has to carry"):
            build_fat(files, sector_size, size - MIB)


def test_every_file_has_a_short_name_of_its_own() -> None:
    files = {f"begins_alike_{number}.json": b"" for number in range(120)}
    volume = FatFileSystem(BytesReader(build_fat(files, 4096, MIB)))
    short_names = {entry.short_name for entry in volume.list()}
    assert len(short_names) == len(files)
    assert all(re.fullmatch(r"[A-Z_0-9]{1,6}~[0-9]{1,3}\.JSO", name) for name in short_names)


def test_a_directory_may_take_more_than_one_cluster() -> None:
    files = {f"d/file_number_{number:03d}.json": bytes([number % 256]) for number in range(300)}
    assert read_fat(build_fat(files, 512, MIB)) == files


def test_more_than_the_root_directory_holds_is_refused() -> None:
    with pytest.raises(ConfigDriveError, match="too small"):
        build_fat({f"file_{number:03d}": b"" for number in range(300)}, 512, MIB)


@pytest.mark.parametrize("size", [0, 4096, 16384])
def test_no_room_for_a_file_system_at_all(size: int) -> None:
    with pytest.raises(ConfigDriveError):
        build_fat({"user_data": b""}, 4096, size)


def test_what_is_no_fat_is_unreadable() -> None:
    with pytest.raises(ConfigDriveError, match="cannot be read back"):
        read_fat(bytes(MIB))


@settings(deadline=None)
@given(
    content=st.binary(max_size=3 * 4096) | st.integers(0, 40_000).map(lambda length: b"\xe5" * length),
    sector_size=st.sampled_from(SECTOR_SIZES),
)
def test_any_content_survives(content: bytes, sector_size: int) -> None:
    files = {"openstack/latest/user_data": content, "openstack/2018-08-27/user_data": content}
    assert read_fat(build_fat(files, sector_size, MIB)) == files
