"""A table is rewritten for another sector size: the same bytes are named, and nothing else changes."""

import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from partitioning.backup_gpt import move_backup, moved_to_end
from partitioning.byte_access import BytesReader
from partitioning.convert_table import convert_table, converted_view
from partitioning.errors import DiskError, NoRoom, NotConvertible, TableUnusable
from partitioning.gpt import HEAD_LIMIT, has_header, read_primary
from partitioning.table import Partition, detect_sector_size, read_table
from tests.signature_samples import SAMPLES
from tests.table_samples import ESP, Part, Store, gpt_disk, header, mbr

SIZE = 1 << 20
SECTOR = {512: SIZE // 512, 4096: SIZE // 4096}
CODE = bytes(range(1, 256)) + bytes(range(1, 186))
BOTH_WAYS = pytest.mark.parametrize(("made_for", "sector_size"), [(512, 4096), (4096, 512)])


def image(made_for: int, *, tail: int = 0, **more: object) -> bytes:
    """A GPT image with partitions out of order; the last ends ``tail`` sectors before a whole 4096 bytes."""
    unit = 4096 // made_for
    parts = [
        Part(40 * unit, 60 * unit - 1, guid=UUID(int=8), attributes=1 << 60 | 4, name="root ä"),
        Part(20 * unit, 30 * unit - 1, ESP, UUID(int=7), 1 << 2, "EFI"),
        Part(100 * unit, 200 * unit - 1 - tail, guid=UUID(int=9)),
    ]
    return gpt_disk(SECTOR[made_for], parts, sector_size=made_for, boot_code=CODE, **more)  # type: ignore[arg-type]


def filled(disk: bytes) -> bytes:
    """The disk with its zeroes behind the primary array replaced by something that would be missed."""
    noise = random.Random(1).randbytes(len(disk))
    return disk.replace(b"\xa5" * 512, noise[:512])


def convert(disk: bytes, made_for: int, sector_size: int) -> Store:
    store = Store(disk)
    convert_table(store, made_for=made_for, sector_size=sector_size)
    return store


def refused(disk: bytes, made_for: int, sector_size: int) -> TableUnusable:
    """The error for a table that is not converted; nothing has been written."""
    store = Store(disk)
    with pytest.raises(TableUnusable) as error:
        convert_table(store, made_for=made_for, sector_size=sector_size)
    assert store.writes == []
    assert bytes(store.data) == disk
    assert error.value.hint
    return error.value


def partitions(disk: bytes | Store, sector_size: int) -> tuple[Partition, ...]:
    reader = BytesReader(disk) if isinstance(disk, bytes) else disk
    return read_table(reader, sector_size).partitions


def up(size: int, sector_size: int) -> int:
    return -(-size // sector_size) * sector_size


@BOTH_WAYS
@pytest.mark.parametrize(("count", "entry_size"), [(128, 128), (4, 128), (12, 128), (256, 128), (128, 256)])
def test_the_partitions_are_the_same(made_for: int, sector_size: int, count: int, entry_size: int) -> None:
    disk = filled(image(made_for, count=count, entry_size=entry_size, extra=b"vendor"))
    store = convert(disk, made_for, sector_size)
    old, new = read_primary(BytesReader(disk), made_for), read_primary(store, sector_size)
    assert partitions(store, sector_size) == partitions(disk, made_for)
    for one, other in zip(old.partitions, new.partitions, strict=True):
        assert one.raw[:32] + one.raw[48:] == other.raw[:32] + other.raw[48:]
    same = {"disk_guid", "entry_count", "entry_size", "extra", "revision", "reserved"}
    assert all(getattr(old.header, name) == getattr(new.header, name) for name in same)
    assert (new.header.my_lba, new.header.entries_lba) == (1, 2)
    assert new.header.alternate_lba == SIZE // sector_size - 1
    assert new.header.last_usable_lba >= new.highest_lba
    assert detect_sector_size(store) == sector_size


@BOTH_WAYS
@pytest.mark.parametrize("count", [4, 128, 256])
def test_nothing_of_the_old_table_is_left_and_nothing_else_changes(
    made_for: int, sector_size: int, count: int
) -> None:
    disk = filled(image(made_for, count=count))
    store = convert(disk, made_for, sector_size)
    old_array = 2 * made_for, 2 * made_for + count * 128
    new_array = 2 * sector_size, up(2 * sector_size + count * 128, sector_size)
    at_end = SIZE - up(count * 128, made_for) - made_for
    tables = [old_array, new_array, (made_for, 2 * made_for), (sector_size, 2 * sector_size), (at_end, SIZE)]
    allowed = {446 + 12 + at for at in range(4)}.union(*(range(*place) for place in tables))
    assert {at for at in range(SIZE) if disk[at] != store.data[at]} <= allowed
    # Wherever one of the old places is not covered by the new table it is zero.
    covered = {*range(sector_size, 2 * sector_size), *range(*new_array)}
    zero = {*range(*old_array), *range(made_for, 2 * made_for), *range(at_end, SIZE)} - covered
    assert not any(store.data[at] for at in zero)
    assert bytes(store.data).count(b"EFI PART") == 1
    assert not has_header(store, made_for)


@pytest.mark.parametrize("tail", range(8))
def test_an_end_within_a_sector_is_rounded_up(tail: int) -> None:
    disk = image(512, tail=tail)
    store = convert(disk, 512, 4096)
    before, after = partitions(disk, 512), partitions(store, 4096)
    assert after[:2] == before[:2]
    assert after[2] == replace(before[2], size=100 * 4096)
    assert before[2].size == 100 * 4096 - tail * 512


def test_a_rounded_end_that_meets_its_neighbour() -> None:
    parts = [Part(80, 97), Part(104, 111), Part(112, 200)]
    store = convert(gpt_disk(2048, parts), 512, 4096)
    assert [(part.start // 4096, part.end // 4096) for part in partitions(store, 4096)] == [
        (10, 13),
        (13, 14),
        (14, 26),
    ]


@BOTH_WAYS
def test_there_and_back(made_for: int, sector_size: int) -> None:
    disk = filled(image(made_for))
    store = convert(disk, made_for, sector_size)
    convert_table(store, made_for=sector_size, sector_size=made_for)
    assert partitions(store, made_for) == partitions(disk, made_for)
    move_backup(store, made_for)
    before, after = read_primary(BytesReader(disk), made_for), read_primary(store, made_for)
    assert (before.entries, before.header.disk_guid) == (after.entries, after.header.disk_guid)
    assert bytes(store.data[:512]) == disk[:512]


# The usable area.


@BOTH_WAYS
@pytest.mark.parametrize("count", [4, 128, 256])
def test_the_first_usable_lba_is_behind_the_array(made_for: int, sector_size: int, count: int) -> None:
    store = convert(image(made_for, count=count), made_for, sector_size)
    first = read_primary(store, sector_size).header.first_usable_lba * sector_size
    old = 2 * made_for + up(count * 128, made_for)
    assert first == max(old, 2 * sector_size + max(count * 128, 16384))


@pytest.mark.parametrize("first", [24, 32, 40])
def test_a_partition_close_behind_a_small_array(first: int) -> None:
    store = convert(gpt_disk(2048, [Part(first, 63)], count=4), 512, 4096)
    assert read_primary(store, 4096).header.first_usable_lba == first // 8


def first_usable_at(lba: int, disk: bytes, **fields: object) -> bytes:
    """The disk with another first usable LBA, or other fields, in its primary header."""
    usual: dict[str, object] = {
        "mine": 1, "other": 2047, "first": lba, "last": 2014, "array": 2,
        "count": 128, "entry_size": 128, "entries": disk[1024 : 1024 + 16384],
    }  # fmt: skip
    return disk[:512] + header(**usual | fields).ljust(512, b"\0") + disk[1024:]  # type: ignore[arg-type]


@pytest.mark.parametrize(("old", "new"), [(34, 6), (48, 6), (49, 7), (56, 7), (63, 8)])
def test_a_gap_before_the_first_usable_lba_stays(old: int, new: int) -> None:
    store = convert(first_usable_at(old, gpt_disk(2048, [Part(80, 99)])), 512, 4096)
    assert read_primary(store, 4096).header.first_usable_lba == new


def test_an_array_that_stands_elsewhere_moves_to_its_usual_place() -> None:
    disk = gpt_disk(2048, [Part(80, 99)])
    array, noise = disk[1024 : 1024 + 16384], random.Random(1).randbytes(16384)
    disk = disk[:1024] + noise + array + disk[1024 + 2 * 16384 :]
    store = convert(first_usable_at(66, disk, array=34, entries=array), 512, 4096)
    assert read_primary(store, 4096).header.first_usable_lba == 9
    assert [part.start for part in partitions(store, 4096)] == [80 * 512]
    assert bytes(store.data[1024:4096]) == noise[:3072]
    assert not any(store.data[24576 : 1024 + 2 * 16384])


def test_no_partitions_at_all() -> None:
    for made_for, sector_size in ((512, 4096), (4096, 512)):
        store = convert(gpt_disk(SECTOR[made_for], sector_size=made_for), made_for, sector_size)
        move_backup(store, sector_size)
        assert partitions(store, sector_size) == ()


def test_a_usable_area_that_ends_before_the_new_one_begins() -> None:
    store = convert(gpt_disk(2048, last=36), 512, 4096)
    header = read_primary(store, 4096).header
    assert (header.first_usable_lba, header.last_usable_lba) == (6, 6)


@BOTH_WAYS
@pytest.mark.parametrize("absurd", [0, 1, 1 << 61, (1 << 64) - 1])
def test_an_alternate_lba_that_is_absurd_is_put_right_afterwards(
    made_for: int, sector_size: int, absurd: int
) -> None:
    # Neither of the two is checked against the disk when a table is read.
    disk = bytearray(image(made_for))
    array = bytes(disk[2 * made_for : 2 * made_for + 16384])
    disk[made_for : made_for + 92] = header(
        mine=1, other=absurd, first=2 + 16384 // made_for, last=max(absurd, SECTOR[made_for]), array=2,
        count=128, entry_size=128, entries=array,
    )  # fmt: skip
    store = convert(bytes(disk), made_for, sector_size)
    moved = move_backup(store, sector_size).header
    reserved = 1 + 16384 // sector_size
    assert (moved.alternate_lba, moved.last_usable_lba) == (
        SIZE // sector_size - 1,
        SIZE // sector_size - 1 - reserved,
    )


# What is left for move_backup.

CLOUD = 2048 * 512  # bytes; the last partition ends at the last usable LBA, as cloud images have it.


@pytest.mark.parametrize(("more", "fits"), [(0, False), (4096, True), (8192, True), (1 << 20, True)])
def test_a_disk_of_the_images_size_has_no_room_for_a_larger_backup(more: int, fits: bool) -> None:
    disk = gpt_disk(2048, [Part(80, 2014)]) + bytes(more)
    store = convert(disk, 512, 4096)
    planned = read_primary(converted_view(BytesReader(disk[:CLOUD]), made_for=512, sector_size=4096), 4096)
    assert planned == read_primary(store, 4096)
    before = bytes(store.data)
    if not fits:
        with pytest.raises(NoRoom):
            moved_to_end(planned, len(disk))
        with pytest.raises(NoRoom):
            move_backup(store, 4096)
        assert bytes(store.data) == before
        return
    assert moved_to_end(planned, len(disk)) == move_backup(store, 4096)
    assert partitions(store, 4096)[0].end == 252 * 4096
    assert bytes(store.data[80 * 512 : 2015 * 512]) == disk[80 * 512 : 2015 * 512]
    assert bytes(store.data).count(b"EFI PART") == 2


@pytest.mark.parametrize("odd", range(8))
@pytest.mark.parametrize("short", range(0, 24, 3))
def test_an_image_of_any_length_on_a_disk_just_as_long(odd: int, short: int) -> None:
    sectors = 2048 + odd
    disk = gpt_disk(sectors, [Part(80, sectors - 34 - short)])
    store = convert(disk.ljust(up(len(disk), 4096), b"\0"), 512, 4096)
    # Header and array of the new backup, and the partition's end in whole sectors.
    if up((sectors - 33 - short) * 512, 4096) + 5 * 4096 > store.size:
        with pytest.raises(NoRoom):
            move_backup(store, 4096)
        return
    moved = move_backup(store, 4096)
    assert moved.header.last_usable_lba == store.size // 4096 - 6
    assert bytes(store.data).count(b"EFI PART") == 2


@BOTH_WAYS
def test_on_a_larger_disk_all_of_it_can_be_used(made_for: int, sector_size: int) -> None:
    store = convert(image(made_for).ljust(4 * SIZE, b"\x5a"), made_for, sector_size)
    moved = move_backup(store, sector_size).header
    assert (moved.last_usable_lba + 1) * sector_size == 4 * SIZE - 16384 - sector_size


def test_a_backup_under_a_partition_is_left_alone() -> None:
    # As after qemu-img resize and growing the last partition without the backup having been moved.
    grown, short = gpt_disk(4096, [Part(80, 3999)]), gpt_disk(2048, [Part(80, 1999)])
    array = grown[1024 : 1024 + 16384]
    disk = first_usable_at(34, grown, last=4062, entries=array)
    disk = disk[: 2015 * 512] + short[2015 * 512 :] + disk[2048 * 512 :]
    store = convert(disk, 512, 4096)
    assert bytes(store.data[80 * 512 : 4000 * 512]) == disk[80 * 512 : 4000 * 512]


def test_the_part_of_the_backup_that_a_rounded_end_covers_is_zeroed_too() -> None:
    disk = gpt_disk(2048, [Part(80, 2014)])
    store = convert(disk + bytes(8192), 512, 4096)
    assert not any(store.data[2015 * 512 :])


def test_an_image_whose_backup_was_cut_off() -> None:
    disk = gpt_disk(2048, [Part(80, 1999)])[: 2001 * 512]
    view = converted_view(BytesReader(disk), made_for=512, sector_size=4096)
    assert view.size == up(len(disk), 4096)
    assert read_table(view, 4096).partitions[0].end == 2000 * 512
    store = convert(disk.ljust(SIZE, b"\x5a"), 512, 4096)
    assert bytes(store.data[2001 * 512 :]) == b"\x5a" * (47 * 512)


# The protective MBR.


@pytest.mark.parametrize(
    ("made_for", "sector_size", "old", "new"),
    [
        (512, 4096, 2047, 255),
        (512, 4096, 2043, 255),
        (512, 4096, 1, 1),
        (512, 4096, 0xFFFFFFFF, 0xFFFFFFFF),
        (4096, 512, 255, 2047),
        (4096, 512, 0x20000000, 0xFFFFFFFF),
        (4096, 512, 0xFFFFFFFF, 0xFFFFFFFF),
    ],
)
def test_the_protective_entry(made_for: int, sector_size: int, old: int, new: int) -> None:
    empty = (0, 0, 0, 0)
    disk = image(made_for, entries_in_mbr=[empty, (0, 0xEE, 1, old)])
    store = convert(disk, made_for, sector_size)
    at = 446 + 16 + 12
    assert int.from_bytes(store.data[at : at + 4], "little") == new
    assert bytes(store.data[:at] + store.data[at + 4 : 512]) == disk[:at] + disk[at + 4 : 512]


def test_a_hybrid_mbr_is_refused() -> None:
    disk = image(512, entries_in_mbr=[(0, 0xEE, 1, 319), (0, 0x83, 320, 160)])
    error = refused(disk, 512, 4096)
    assert isinstance(error, NotConvertible)
    assert "hybrid" in error.detail


# What can not be converted.


@pytest.mark.parametrize("first", [81, 84, 87])
def test_a_start_within_a_sector_is_refused(first: int) -> None:
    error = refused(gpt_disk(2048, [Part(160, 167), Part(first, 159)]), 512, 4096)
    assert isinstance(error, NotConvertible)
    assert f"Partition 2 begins at byte {first * 512}," in error.detail
    assert error.message == (
        "The partition table is made for 512-byte sectors and can not be rewritten for 4096-byte sectors."
    )


@pytest.mark.parametrize(("count", "first", "fits"), [(128, 40, False), (128, 48, True), (256, 72, False)])
def test_a_partition_where_the_new_array_will_be(count: int, first: int, fits: bool) -> None:
    disk = gpt_disk(2048, [Part(200, 300), Part(first, 100)], count=count)
    if fits:
        assert len(partitions(convert(disk, 512, 4096), 4096)) == 2
        return
    error = refused(disk, 512, 4096)
    assert isinstance(error, NotConvertible)
    assert f"Partition 2 begins at byte {first * 512};" in error.detail


def test_an_array_that_would_reach_beyond_the_first_mib() -> None:
    count = (HEAD_LIMIT - 1024) // 128
    disk = gpt_disk(8192, [Part(4096, 4103)], count=count)
    error = refused(disk, 512, 4096)
    assert isinstance(error, NotConvertible)
    assert "first MiB" in error.detail


def test_a_header_that_is_longer_than_a_sector() -> None:
    error = refused(image(4096, extra=bytes(421)), 4096, 512)
    assert isinstance(error, NotConvertible)
    assert error.detail == "Its header has 513 bytes, more than a sector."
    assert partitions(convert(image(4096, extra=bytes(420)), 4096, 512), 512)


@pytest.mark.parametrize("size", [20000, 20480, 24575])
def test_a_disk_too_small_for_the_new_table(size: int) -> None:
    disk = gpt_disk(2048)[:size]
    error = refused(disk, 512, 4096)
    assert isinstance(error, NotConvertible)
    assert str(size) in error.detail


@BOTH_WAYS
def test_a_table_for_the_other_size_is_not_taken_for_one(made_for: int, sector_size: int) -> None:
    assert not isinstance(refused(image(sector_size), made_for, sector_size), NotConvertible)


@BOTH_WAYS
def test_converting_twice_is_refused(made_for: int, sector_size: int) -> None:
    refused(bytes(convert(image(made_for), made_for, sector_size).data), made_for, sector_size)


@pytest.mark.parametrize("size", [512, 4096])
def test_for_its_own_size_a_table_is_left_as_it_is(size: int) -> None:
    assert convert(b"anything", size, size).writes == []


@pytest.mark.parametrize(("made_for", "sector_size"), [(512, 2048), (2048, 512), (512, 520), (0, 512)])
def test_there_are_no_other_sizes(made_for: int, sector_size: int) -> None:
    with pytest.raises(ValueError, match="no logical sector sizes"):
        convert(image(512), made_for, sector_size)


def test_a_partition_beyond_the_end_is_refused() -> None:
    disk = gpt_disk(2048, [Part(80, 1999)])[: 2000 * 512 - 1]
    refused(disk, 512, 4096)
    with pytest.raises(TableUnusable, match="Partition 1 reaches beyond the end"):
        converted_view(BytesReader(disk), made_for=512, sector_size=4096)


# Plain MBR.

ROOT, OTHER = (0x80, 0x83, 2048, 4096), (0, 0xEF, 8192, 1000)
EXT4 = SAMPLES["ext4"][0][:8192]


def mbr_disk(
    entries: Sequence[tuple[int, int, int, int]], *, size: int = 16 << 20, made_for: int = 512
) -> bytes:
    disk = bytearray(random.Random(1).randbytes(1 << 20) * (size >> 20))
    disk[:512] = mbr(entries, boot_code=CODE, signature=0xCAFE1234)
    for first in filter(None, (first for _, _, first, _ in entries)):
        disk[first * made_for : first * made_for + len(EXT4)] = EXT4
    return bytes(disk)


def test_the_entries_of_an_mbr() -> None:
    disk = mbr_disk([ROOT, (0, 0, 0, 0), OTHER])
    store = convert(disk, 512, 4096)
    before, after = partitions(disk, 512), partitions(store, 4096)
    assert after == (before[0], replace(before[1], size=125 * 4096))
    assert [part.legacy_bootable for part in after] == [True, False]
    assert store.changed(disk)[-1][1] <= 446 + 64
    assert bytes(store.data[:446]) == disk[:446]
    # LBA 256 and 512 sectors; with 255 heads and 63 sectors that is CHS 0/4/5 to 0/12/12.
    assert bytes(store.data[446:462]) == bytes.fromhex("80040500830c0c00 00010000 00020000")
    assert bytes(store.data[462:478]) == disk[462:478]


@pytest.mark.parametrize("sectors", [4096, 4095, 4089, 1])
def test_an_mbr_there_and_back(sectors: int) -> None:
    disk = mbr_disk([(0x80, 0x83, 2048, sectors), (0, 0x82, 6144, 8)])
    store = convert(disk, 512, 4096)
    convert_table(store, made_for=4096, sector_size=512)
    before, after = partitions(disk, 512), partitions(store, 512)
    assert after == (replace(before[0], size=up(before[0].size, 4096)), before[1])
    assert bytes(store.data[512:]) == disk[512:]


def test_a_last_partition_that_ends_with_the_image() -> None:
    sectors = 16384 - 3
    disk = mbr_disk([(0, 0x83, 2048, sectors - 2048)])[: sectors * 512]
    view = converted_view(BytesReader(disk), made_for=512, sector_size=4096)
    assert read_table(view, 4096).partitions[0].end == view.size == 16384 * 512
    assert refused(disk, 512, 4096)


def test_an_extended_partition_is_refused() -> None:
    disk = bytearray(mbr_disk([ROOT, (0, 0x0F, 8192, 4096)]))
    disk[8192 * 512 : 8192 * 512 + 512] = mbr([(0, 0x83, 2048, 1000)])
    error = refused(bytes(disk), 512, 4096)
    assert isinstance(error, NotConvertible)
    assert "Partition 2 is an extended one" in error.detail


def test_an_mbr_start_within_a_sector_is_refused() -> None:
    error = refused(mbr_disk([ROOT, (0, 0x83, 8193, 9)]), 512, 4096)
    assert isinstance(error, NotConvertible)
    assert f"Partition 2 begins at byte {8193 * 512}," in error.detail
    assert isinstance(refused(mbr_disk([(0, 0x83, 63, 1985)]), 512, 4096), NotConvertible)


class Huge:
    """A disk of 64 TiB with an MBR for 4096-byte sectors and file systems on it."""

    size = 64 << 40

    def __init__(self, entries: Sequence[tuple[int, int, int, int]]) -> None:
        self.there = {0: mbr(entries)} | {first * 4096: EXT4 for _, _, first, _ in entries}

    def pread(self, length: int, offset: int) -> bytes:
        found = bytearray(length)
        for at, data in self.there.items():
            first, end = max(at, offset), min(at + len(data), offset + length)
            if first < end:
                found[first - offset : end - offset] = data[first - at : end - at]
        return bytes(found)


@pytest.mark.parametrize(
    ("first", "sectors", "fits"),
    [
        (256, 0x1FFFFFFF, True),
        (256, 0x20000000, False),
        (0x1FFFFFFF, 1, True),
        (0x20000000, 1, False),
    ],
)
def test_an_mbr_beyond_32_bits(first: int, sectors: int, fits: bool) -> None:
    disk = Huge([(0, 0x83, first, sectors)])
    if fits:
        view = converted_view(disk, made_for=4096, sector_size=512)
        assert read_table(view, 512).partitions == read_table(disk, 4096).partitions
        return
    with pytest.raises(NotConvertible, match="the most an MBR can say"):
        converted_view(disk, made_for=4096, sector_size=512)


def test_an_mbr_that_would_be_taken_for_one_of_the_old_size_is_refused() -> None:
    # Rewritten it says LBA 512, which at 512 bytes is where something with a file system's signature stands.
    disk = bytearray(mbr_disk([(0, 0x83, 4096, 4096)]))
    disk[4096 * 512 : 4096 * 512 + len(EXT4)] = bytes(len(EXT4))
    disk[512 * 512 : 512 * 512 + len(EXT4)] = EXT4
    error = refused(bytes(disk), 512, 4096)
    assert isinstance(error, NotConvertible)
    assert "Rewritten, it would not be usable." in error.detail


# Whatever comes.


def layouts(made_for: int) -> st.SearchStrategy[list[Part]]:
    """Partitions that begin on whole 4096 bytes, in any order, with gaps or without."""
    unit = 4096 // made_for

    def placed(shape: list[tuple[int, int, int]], order: random.Random) -> list[Part]:
        parts: list[Part] = []
        at = 12
        for gap, length, tail in shape:
            first = (at + gap) * unit
            last = first + length * unit - 1 - tail % (length * unit)
            parts.append(Part(first, last, guid=UUID(int=len(parts) + 1), attributes=gap, name=f"p{length}"))
            at += gap + length
        order.shuffle(parts)
        return parts

    shape = st.tuples(st.integers(0, 5), st.integers(1, 12), st.integers(0, unit - 1))
    return st.builds(placed, st.lists(shape, max_size=10), st.randoms(use_true_random=False))


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from([(512, 4096), (4096, 512)]), st.integers(0, 40))
def test_any_layout(data: st.DataObject, sizes: tuple[int, int], more: int) -> None:
    made_for, sector_size = sizes
    disk = gpt_disk(SECTOR[made_for], data.draw(layouts(made_for)), sector_size=made_for)
    store = convert(disk + b"\x5a" * (more * 4096), made_for, sector_size)
    before, after = partitions(disk, made_for), partitions(store, sector_size)
    assert after == tuple(replace(part, size=up(part.size, sector_size)) for part in before)
    assert all(
        bytes(store.data[part.start : part.end]) == disk[part.start : part.end]
        for part in before
        if part.end <= SIZE - 33 * 512
    )
    move_backup(store, sector_size)
    assert partitions(store, sector_size) == after
    assert bytes(store.data).count(b"EFI PART") == 2


HOSTILE = [image(512), image(4096), mbr_disk([ROOT, OTHER], size=6 << 20)]
PLACES = st.integers(440, 700) | st.integers(4096, 4200) | st.integers(0, 24576)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(HOSTILE),
    st.lists(st.tuples(PLACES, st.binary(min_size=1, max_size=9)), min_size=1, max_size=4),
    st.sampled_from([(512, 4096), (4096, 512)]),
)
def test_mutations_are_converted_or_refused(
    disk: bytes, changes: list[tuple[int, bytes]], sizes: tuple[int, int]
) -> None:
    mutated = bytearray(disk)
    for at, data in changes:
        mutated[at : at + len(data)] = data
    converted_or_refused(bytes(mutated), *sizes)


ABSURD = st.sampled_from([0, 1, 1 << 60, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
LBAS = st.integers(0, 250) | st.integers(6, 30).map(lambda lba: lba * 8) | ABSURD
FIRST = st.sampled_from([6, 34, 36, 48]) | LBAS
LAST = st.sampled_from([200, 250, 2014]) | LBAS
SHAPES = st.just((128, 128)) | st.tuples(
    st.sampled_from([1, 4, 128, 300, 1 << 20]), st.sampled_from([128, 256, 512, 1 << 20])
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([(512, 4096), (4096, 512)]),
    st.lists(st.tuples(LBAS, LBAS).map(lambda pair: (min(pair), max(pair))), max_size=2),
    st.tuples(LBAS, FIRST, LAST, st.just(2) | LBAS),
    SHAPES,
    st.sampled_from([0, 0, 8, 600]),
)
def test_hostile_fields_with_good_checksums(
    sizes: tuple[int, int],
    parts: list[tuple[int, int]],
    fields: tuple[int, int, int, int],
    shape: tuple[int, int],
    extra: int,
) -> None:
    made_for, _ = sizes
    other, first, last, array = fields
    count, entry_size = shape
    sample = gpt_disk(SECTOR[made_for], [Part(*part) for part in parts], sector_size=made_for)
    disk = bytearray(sample)
    at = array * made_for
    entries = bytes(disk[2 * made_for : 2 * made_for + 16384])
    entries = entries.ljust(min(count * entry_size, SIZE // 2), b"\0")
    if at + len(entries) <= SIZE:
        disk[at : at + len(entries)] = entries
    made = header(
        mine=1, other=other, first=first, last=last, array=array, count=count, entry_size=entry_size,
        entries=bytes(disk[at : at + count * entry_size]), extra=bytes(extra),
    )[:made_for]  # fmt: skip
    disk[made_for : made_for + len(made)] = made
    converted_or_refused(bytes(disk), *sizes)


def converted_or_refused(disk: bytes, made_for: int, sector_size: int) -> None:
    store = Store(disk)
    try:
        convert_table(store, made_for=made_for, sector_size=sector_size)
    except TableUnusable:
        assert store.writes == []
        event("refused")
        return
    event("converted")
    before = partitions(disk, made_for)
    assert [part.start for part in partitions(store, sector_size)] == [part.start for part in before]
    for part in before:
        assert bytes(store.data[part.start : part.end]) == disk[part.start : part.end]
    with suppress(DiskError):
        move_backup(store, sector_size)
        assert len(partitions(store, sector_size)) == len(before)
