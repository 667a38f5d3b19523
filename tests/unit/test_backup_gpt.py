"""The backup GPT moves to the end of the disk, and nothing changes that need not."""

from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning.backup_gpt import backup_agrees, move_backup, moved_to_end
from partitioning.errors import DiskError, NoRoom, TableUnusable
from partitioning.gpt import read_backup, read_primary
from tests.table_samples import ESP, Part, Store, gpt_disk, header, mbr

SECTORS, LARGER = 1024, 4096
PARTS = [Part(100, 199, ESP, UUID(int=7), 1 << 2, "EFI"), Part(200, 900, guid=UUID(int=8))]
CODE = bytes(range(256)) + bytes(range(184))
FIELDS = [(512 + 16, 512 + 20), (512 + 32, 512 + 40), (512 + 48, 512 + 56)]  # CRC, alternate, last usable
MBR_SIZE_FIELD = (446 + 12, 446 + 16)


def on_disk(image: bytes, sectors: int = LARGER, sector_size: int = 512) -> tuple[Store, bytes]:
    """A larger disk the image was written to, all the rest of it old data."""
    disk = image + b"\x5a" * (sectors * sector_size - len(image))
    return Store(disk), disk


def check_intact(store: Store, sector_size: int = 512) -> None:
    primary, backup = read_primary(store, sector_size), read_backup(store, sector_size)
    last = store.size // sector_size - 1
    assert (primary.header.alternate_lba, backup.header.my_lba) == (last, last)
    assert primary.entries == backup.entries
    assert primary.header.last_usable_lba == backup.header.last_usable_lba < backup.header.entries_lba
    assert backup_agrees(store, primary)


def within(run: tuple[int, int], fields: list[tuple[int, int]]) -> bool:
    return any(first <= run[0] and run[1] <= end for first, end in fields)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("sector_size", [512, 4096])
@pytest.mark.parametrize(("count", "entry_size"), [(128, 128), (4, 128), (256, 128), (128, 256), (12, 128)])
def test_only_the_meant_bytes_change(*, sector_size: int, count: int, entry_size: int, hybrid: bool) -> None:
    entries = [(0, 0x83, 200, 701), (0x80, 0xEE, 1, 199)] if hybrid else None
    image = gpt_disk(
        SECTORS, PARTS, sector_size=sector_size, count=count, entry_size=entry_size,
        boot_code=CODE, entries_in_mbr=entries, extra=b"vendor data",
    )  # fmt: skip
    store, before = on_disk(image, sector_size=sector_size)
    old_last, array = (SECTORS - 1) * sector_size, -(-count * entry_size // sector_size) * sector_size
    moved = move_backup(store, sector_size)
    check_intact(store, sector_size)
    assert moved == read_primary(store, sector_size)
    allowed = [(first + sector_size - 512, end + sector_size - 512) for first, end in FIELDS]
    allowed += [] if hybrid else [MBR_SIZE_FIELD]
    allowed += [(old_last - array, old_last + sector_size), (store.size - array - sector_size, store.size)]
    assert all(within(run, allowed) for run in store.changed(before)), store.changed(before)
    assert not any(store.data[old_last - array : old_last + sector_size])
    # What fills up the last sectors of array and header is zero, not what the disk had there.
    at_end = store.size - sector_size
    assert not any(store.data[at_end - array + count * entry_size : at_end])
    assert not any(store.data[at_end + 92 + len(b"vendor data") :])


def test_the_backups_place_and_the_last_usable_lba() -> None:
    store, _ = on_disk(gpt_disk(SECTORS, PARTS))
    move_backup(store, 512)
    backup = read_backup(store, 512).header
    assert (backup.entries_lba, backup.last_usable_lba) == (LARGER - 33, LARGER - 34)


def test_a_small_array_gets_the_room_the_specification_wants_if_nothing_is_there() -> None:
    roomy, _ = on_disk(gpt_disk(SECTORS, PARTS, count=4))
    assert move_backup(roomy, 512).header.last_usable_lba == LARGER - 34
    tight = Store(gpt_disk(SECTORS, [Part(200, SECTORS - 3)], count=4)[: (SECTORS - 2) * 512] + bytes(1024))
    assert move_backup(tight, 512).header.last_usable_lba == SECTORS - 3
    check_intact(tight)
    larger, _ = on_disk(gpt_disk(SECTORS, [Part(200, SECTORS - 3)], count=4), SECTORS + 1)
    assert move_backup(larger, 512).header.last_usable_lba == SECTORS - 2
    check_intact(larger)


def test_a_last_usable_lba_that_leaves_no_room_for_the_backup_is_corrected() -> None:
    store = Store(gpt_disk(SECTORS, PARTS, last=SECTORS - 2))
    move_backup(store, 512)
    check_intact(store)


def test_an_old_backup_that_claims_other_sectors_for_its_array_costs_nothing() -> None:
    # The gap before the first usable LBA is where some boards have their boot loader.
    image = gpt_disk(SECTORS, [Part(200, 900)])
    array, gap = image[1024 : 1024 + 16384], (bytes(16) + b"\xa5" * 112) * 128
    primary = header(
        mine=1,
        other=SECTORS - 1,
        first=100,
        last=SECTORS - 34,
        array=2,
        count=128,
        entry_size=128,
        entries=array,
    )
    claim = header(
        mine=SECTORS - 1, other=1, first=1, last=1, array=40, count=128, entry_size=128, entries=gap
    )
    head = (image[:512] + primary.ljust(512, b"\0") + array).ljust(40 * 512, b"\0") + gap
    store, _ = on_disk(head + image[len(head) : -512] + claim.ljust(512, b"\0"))
    move_backup(store, 512)
    check_intact(store)
    assert bytes(store.data[40 * 512 : 40 * 512 + len(gap)]) == gap


@pytest.mark.parametrize("last", [None, 950, 901])
def test_on_a_disk_of_the_images_size_nothing_is_written(last: int | None) -> None:
    store = Store(gpt_disk(SECTORS, PARTS, last=last))
    move_backup(store, 512)
    assert store.writes == []


@pytest.mark.parametrize("at", [-1, -512, -600, -500])
def test_a_damaged_backup_is_made_anew_in_its_place(at: int) -> None:
    image = bytearray(gpt_disk(SECTORS, PARTS))
    whole = bytes(image)
    image[at] ^= 0x55
    store = Store(bytes(image))
    move_backup(store, 512)
    assert bytes(store.data[: -33 * 512]) == whole[: -33 * 512]
    check_intact(store)


def test_a_backup_that_says_something_else_is_replaced() -> None:
    image = gpt_disk(SECTORS, PARTS)
    other = gpt_disk(SECTORS, PARTS[:1])
    store = Store(image[: -33 * 512] + other[-33 * 512 :])
    move_backup(store, 512)
    assert bytes(store.data) == image


def test_a_backup_with_another_usable_area_is_replaced() -> None:
    image = gpt_disk(SECTORS, PARTS)
    store = Store(image[:-512] + gpt_disk(SECTORS, PARTS, last=950)[-512:])
    move_backup(store, 512)
    assert bytes(store.data) == image


def test_a_truncated_image_gets_its_backup() -> None:
    store, before = on_disk(gpt_disk(SECTORS, PARTS)[: 901 * 512])
    move_backup(store, 512)
    check_intact(store)
    # Nothing stands at the old end, so nothing is zeroed there.
    assert bytes(store.data[1024 : -33 * 512]) == before[1024 : -33 * 512]


def test_a_stale_backup_under_a_partition_is_left_alone() -> None:
    # As after qemu-img resize and growing the last partition without the backup having been removed.
    image = gpt_disk(SECTORS, [Part(200, 900)])
    grown = gpt_disk(LARGER, [Part(200, 3000)])
    mixed = grown[: SECTORS * 512 - 33 * 512] + image[-33 * 512 :] + grown[SECTORS * 512 :]
    primary = read_primary(Store(grown), 512)
    header = replace(primary.header, alternate_lba=SECTORS - 1).to_bytes()
    disk = mixed[:512] + header + mixed[512 + len(header) :]
    store = Store(disk)
    move_backup(store, 512)
    check_intact(store)
    assert bytes(store.data[1024 : 3001 * 512]) == disk[1024 : 3001 * 512]


@pytest.mark.parametrize("more", [1, 2, 31, 32, 33, 34, 40, 70])
def test_a_disk_a_little_larger(more: int) -> None:
    store, before = on_disk(gpt_disk(SECTORS, PARTS), SECTORS + more)
    move_backup(store, 512)
    check_intact(store)
    assert bytes(store.data[1024 : (SECTORS - 33) * 512]) == before[1024 : (SECTORS - 33) * 512]
    # No second header is left that could be taken for the backup.
    assert bytes(store.data).count(b"EFI PART") == 2


@pytest.mark.parametrize(
    ("sectors", "fits"), [(901 + 33, True), (901 + 32, False), (901, False), (300, False)]
)
def test_a_smaller_disk(*, sectors: int, fits: bool) -> None:
    store = Store(gpt_disk(SECTORS, PARTS)[: sectors * 512])
    before = bytes(store.data)
    if fits:
        move_backup(store, 512)
        check_intact(store)
        return
    with pytest.raises(NoRoom):
        move_backup(store, 512)
    assert bytes(store.data) == before


@pytest.mark.parametrize(("size", "sectors"), [(999, 4095), (0xFFFFFFFF, 4095), (4095, 4095)])
def test_the_protective_entry_covers_the_disk(size: int, sectors: int) -> None:
    store, before = on_disk(gpt_disk(SECTORS, PARTS, entries_in_mbr=[(0, 0xEE, 1, size)]))
    move_backup(store, 512)
    assert int.from_bytes(store.data[458:462], "little") == sectors
    assert bytes(store.data[:458] + store.data[462:512]) == before[:458] + before[462:512]


def test_the_protective_entry_is_found_in_another_slot() -> None:
    empty = (0, 0, 0, 0)
    store, _ = on_disk(gpt_disk(SECTORS, PARTS, entries_in_mbr=[empty, empty, (0, 0xEE, 1, 99)]))
    move_backup(store, 512)
    assert int.from_bytes(store.data[490:494], "little") == 4095


def test_moving_twice_is_moving_once() -> None:
    store, _ = on_disk(gpt_disk(SECTORS, PARTS))
    first = move_backup(store, 512)
    store.writes.clear()
    assert move_backup(store, 512) == first
    assert moved_to_end(first, store.size) == first
    assert store.writes == []


def test_an_mbr_has_no_backup_to_move() -> None:
    with pytest.raises(TableUnusable, match="no GPT"):
        move_backup(Store(mbr([(0, 0x83, 2048, 10)]).ljust(65536, b"\0")), 512)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(400, 1200), st.binary(min_size=1, max_size=8)), min_size=1, max_size=3),
    st.integers(60, 400),
)
def test_whatever_stands_there_only_tables_are_written(
    changes: list[tuple[int, bytes]], sectors: int
) -> None:
    image = bytearray(gpt_disk(256, [Part(40, 60), Part(70, 90)]))
    for at, data in changes:
        image[at : at + len(data)] = data
    store = Store(bytes(image[: sectors * 512]).ljust(sectors * 512, b"\0"))
    before = bytes(store.data)
    with suppress(DiskError):
        move_backup(store, 512)
        check_intact(store)
        assert bytes(store.data[40 * 512 : 91 * 512]) == before[40 * 512 : 91 * 512]
