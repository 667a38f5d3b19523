"""What stands on a device is told from little, and nothing odd makes it fail."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning.byte_access import BytesReader
from partitioning.errors import DiskReadError
from partitioning.signatures import FileSystem, identify
from tests.signature_samples import SAMPLES
from tests.table_samples import Store


class Counting(BytesReader):
    """A reader that counts what is read."""

    count = 0

    def pread(self, length: int, offset: int) -> bytes:
        self.count += length
        return super().pread(length, offset)


class Failing(BytesReader):
    """A disk with bad sectors everywhere."""

    def pread(self, length: int, offset: int) -> bytes:
        raise DiskReadError("Reading failed.", detail=f"At byte {offset}.", hint="")


@pytest.mark.parametrize(("device", "expected"), SAMPLES.values(), ids=SAMPLES.keys())
def test_it_is_told(device: bytes, expected: FileSystem) -> None:
    reader = Counting(device)
    assert identify(reader) == expected
    assert reader.count < 128 << 10


@pytest.mark.parametrize(("device", "expected"), SAMPLES.values(), ids=SAMPLES.keys())
def test_short_and_bad_devices_have_none(device: bytes, expected: FileSystem) -> None:
    for size in (0, 1, 511, 512, 1024, 1500, 4095, 4096, 8191, 32768, 33000, 65600, 65536 + 1024):
        # This reader, unlike a disk, does not even allow the attempt to read beyond its end.
        assert identify(Store(device[:size])) in (None, expected)
    assert identify(Failing(device)) is None


def test_nothing_is_told_of_nothing() -> None:
    for device in (bytes(1 << 20), b"\xff" * (1 << 20), bytes(range(256)) * 4096):
        assert identify(BytesReader(device)) is None


def test_a_mirrors_half_is_not_taken_for_the_file_system_on_it() -> None:
    ext4, _ = SAMPLES["ext4"]
    md, expected = SAMPLES["md 1.0"]
    half = ext4[: -(64 << 10)] + md[-(64 << 10) :]
    assert identify(BytesReader(half)) == expected


def test_a_fat_with_a_broken_root_is_still_a_fat() -> None:
    device = bytearray(SAMPLES["vfat"][0])
    device[36:40] = (2000).to_bytes(4, "little")  # FAT32's count of sectors for a FAT
    device[17:19] = device[22:24] = b"\0\0"
    device[44:48] = (9).to_bytes(4, "little")
    device[512 + 36 : 512 + 40] = (9).to_bytes(4, "little")  # cluster 9 follows cluster 9
    found = identify(BytesReader(bytes(device)))
    assert found is not None
    assert (found.type, found.label) == ("vfat", "")


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(SAMPLES)),
    st.lists(st.tuples(st.integers(0, 70000), st.binary(min_size=1, max_size=16)), max_size=4),
    st.integers(0, 1 << 20),
)
def test_nothing_makes_it_fail(name: str, changes: list[tuple[int, bytes]], size: int) -> None:
    device = bytearray(SAMPLES[name][0])
    for at, data in changes:
        device[at : at + len(data)] = data
    for reader in (BytesReader(bytes(device)), BytesReader(bytes(device[:size]))):
        found = identify(reader)
        assert found is None or found.type
