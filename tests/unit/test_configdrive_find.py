import struct
import uuid
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configdrive.drive import build
from configdrive.find import is_config_drive
from configdrive.metadata import ConfigDriveData
from partitioning.byte_access import BytesReader, RangeReader

MIB = 1 << 20
ISO_LABEL = 16 * 2048 + 40


@cache
def drive(sector_size: int) -> bytes:
    return build(ConfigDriveData(instance_uuid=uuid.UUID(int=1)), sector_size=sector_size).data


class CountingReader(BytesReader):
    """Counts the bytes that are asked for."""

    asked = 0

    def pread(self, length: int, offset: int) -> bytes:
        self.asked += length
        return super().pread(length, offset)


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_our_own_drives_are_found_in_a_window_of_the_disk(sector_size: int) -> None:
    image = drive(sector_size)
    disk = BytesReader(b"\xa5" * MIB + image + b"\xa5" * MIB)
    assert is_config_drive(RangeReader(disk, MIB, len(image)))
    assert not is_config_drive(RangeReader(disk, MIB + 512, len(image)))
    assert not is_config_drive(disk)


@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (b"CONFIG-2", True),
        (b"Config-2", True),
        (b"config-3", False),
        (b"xonfig-2", False),
        (b"config", False),
    ],
)
def test_the_whole_label_decides_in_any_case(label: bytes, expected: bool, sector_size: int) -> None:
    image = drive(sector_size).replace(b"config-2", label.ljust(8))
    assert is_config_drive(BytesReader(image)) is expected


def test_a_fats_root_directory_counts_before_its_boot_sector() -> None:
    image = bytearray(drive(4096))
    image[43:54] = b"NO NAME    "
    assert is_config_drive(BytesReader(bytes(image)))
    image[43:54] = b"config-2   "
    (root,) = struct.unpack_from("<H", image, 22)
    at = (1 + 2 * root) * 4096
    assert image[at : at + 8] == b"config-2"
    image[at : at + 11] = b"OTHER      "
    assert not is_config_drive(BytesReader(bytes(image)))


def test_a_few_kib_are_read() -> None:
    for sector_size in (512, 4096):
        reader = CountingReader(drive(sector_size))
        is_config_drive(reader)
        assert 0 < reader.asked < 64 << 10


@pytest.mark.parametrize("length", [0, 1, 511, 512, 32 << 10, ISO_LABEL + 3])
def test_a_stump_is_no_config_drive(length: int) -> None:
    assert not is_config_drive(BytesReader(drive(512)[:length]))
    assert not is_config_drive(BytesReader(drive(4096)[:length]))


@settings(deadline=None)
@given(
    junk=st.binary(min_size=1, max_size=64),
    at=st.integers(0, 40_000),
    sector_size=st.sampled_from([512, 4096]),
)
def test_damage_never_raises(junk: bytes, at: int, sector_size: int) -> None:
    image = bytearray(drive(sector_size)[: 64 << 10])
    image[at : at + len(junk)] = junk
    assert is_config_drive(BytesReader(bytes(image))) in (True, False)
