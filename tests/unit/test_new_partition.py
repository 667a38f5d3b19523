"""Planning a partition at the end of the disk, entering it, taking it out."""

import re
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning.backup_gpt import move_backup
from partitioning.byte_access import BytesReader
from partitioning.errors import NoRoom, TableUnusable
from partitioning.new_partition import (
    ALIGNMENT,
    Placement,
    TooManyPartitions,
    add,
    place_at_end,
    remove,
    require_removable,
)
from partitioning.partition_types import ESP, LINUX_DATA
from partitioning.table import PartitionTable, read_table
from tests.table_samples import Part, Store, gpt_disk, mbr

MIB = 1 << 20
SECTORS, LARGER = 4096, 32768
GUID = UUID(int=99)
MBR_2_TIB = 0xFFFFFFFF * 512


def gpt_store(
    parts: Sequence[Part] = (Part(2048, 4000),), *, sector_size: int = 512, count: int = 128
) -> Store:
    return Store(gpt_disk(LARGER, parts, sector_size=sector_size, count=count))


def mbr_table(*entries: tuple[int, int, int, int]) -> PartitionTable:
    return read_table(BytesReader(mbr(entries).ljust(SECTORS * 512, b"\0")), 512)


def mbr_store(*entries: tuple[int, int, int, int], sectors: int = LARGER) -> Store:
    return Store(mbr(entries, boot_code=b"\x90" * 440, signature=77).ljust(sectors * 512, b"\xa5"))


ROOT = (0x80, 0x83, 2048, 1000)


@pytest.mark.parametrize(("sector_size", "reserved"), [(512, 33 * 512), (4096, 5 * 4096)])
def test_on_gpt_it_ends_with_the_last_usable_sector(sector_size: int, reserved: int) -> None:
    table = read_table(gpt_store(sector_size=sector_size), sector_size)
    size = LARGER * sector_size
    plan = place_at_end(table, size, MIB)
    assert (plan.end, plan.start % MIB, plan.number) == (size - reserved, 0, 2)
    assert MIB <= plan.size < 2 * MIB


def test_it_is_planned_for_the_disk_the_image_will_be_on() -> None:
    table = read_table(BytesReader(gpt_disk(SECTORS, [Part(2048, 4000)])), 512)
    store = Store(gpt_disk(SECTORS, [Part(2048, 4000)]) + bytes((LARGER - SECTORS) * 512))
    plan = place_at_end(table, store.size, 3 * MIB)
    move_backup(store, 512)
    assert place_at_end(read_table(store, 512), store.size, 3 * MIB) == plan
    assert add(store, 512, plan, kind=LINUX_DATA, name="config-2", guid=GUID).end == plan.end


def by(end: int) -> Placement:
    """What is planned at byte ``end``, so that another has to end by then."""
    return Placement(start=end, size=MIB, number=99)


def test_two_can_stand_one_before_the_other() -> None:
    table = read_table(gpt_store(), 512)
    drive = place_at_end(table, LARGER * 512, MIB)
    esp = place_at_end(table, LARGER * 512, 4 * MIB, ahead_of=[drive])
    assert (esp.end, esp.size, esp.number) == (drive.start, 4 * MIB, 3)
    third = place_at_end(table, LARGER * 512, 100, ahead_of=[drive, esp])
    assert (third.end, third.size, third.number) == (esp.start, MIB, 4)
    bounded = place_at_end(table, LARGER * 512, MIB, ahead_of=[by(9 * MIB + 700)])
    assert (bounded.start, bounded.end) == (8 * MIB, 9 * MIB + 512)


@pytest.mark.parametrize(
    ("disk_size", "end"),
    [
        (LARGER * 512, LARGER * 512),
        (LARGER * 512 + 100, LARGER * 512),
        (1 << 41, MBR_2_TIB),
        (5 << 40, MBR_2_TIB),
    ],
)
def test_on_mbr_it_ends_with_the_disk_or_below_2_tib(disk_size: int, end: int) -> None:
    plan = place_at_end(mbr_table(ROOT), disk_size, MIB)
    assert (plan.end, plan.start, plan.number) == (end, (end - MIB) // MIB * MIB, 2)


def test_on_mbr_with_large_sectors_there_is_more_room() -> None:
    table = read_table(BytesReader(mbr([(0, 0x83, 256, 100)]).ljust(4 << 20, b"\0")), 4096)
    assert place_at_end(table, 5 << 40, MIB).end == 5 << 40


def test_numbers_that_are_free_are_taken_first() -> None:
    table = read_table(gpt_store(parts=[Part(2048, 4000)]), 512)
    assert place_at_end(table, LARGER * 512, MIB).number == 2
    assert place_at_end(table, LARGER * 512, MIB, ignoring=1).number == 1
    assert place_at_end(mbr_table(ROOT, (0, 0, 0, 0), (0, 0x83, 3100, 10)), LARGER * 512, MIB).number == 2


FULL = (ROOT, (0, 0x83, 3100, 10), (0, 0x83, 3200, 10))


def test_a_full_mbr_is_refused() -> None:
    for table in (mbr_table(*FULL, (0, 0x83, 3300, 10)), mbr_table(*FULL, (0, 0x05, 3300, 10))):
        with pytest.raises(TooManyPartitions, match="no entry left") as error:
            place_at_end(table, LARGER * 512, MIB)
        assert "four primary" in error.value.detail
        assert place_at_end(table, LARGER * 512, MIB, ignoring=2).number == 2
    drive = place_at_end(mbr_table(*FULL), LARGER * 512, MIB)
    with pytest.raises(TooManyPartitions):
        place_at_end(mbr_table(*FULL), LARGER * 512, MIB, ahead_of=[drive])


def test_a_full_gpt_is_refused() -> None:
    parts = [Part(2048 + at, 2048 + at) for at in range(4)]
    table = read_table(gpt_store(parts=parts, count=4), 512)
    with pytest.raises(TooManyPartitions, match="All 4 entries of the GPT"):
        place_at_end(table, LARGER * 512, MIB)


def test_no_room_on_a_disk_that_is_full() -> None:
    table = read_table(gpt_store(parts=[Part(2048, LARGER - 2000)]), 512)
    with pytest.raises(NoRoom, match="partition 1") as found:
        place_at_end(table, LARGER * 512, MIB)
    # What is asked for is what is said to be needed, and a disk that is so much larger has it.
    size, first, last, missing = numbers_of(found.value)
    assert size == last - first + 1
    assert place_at_end(table, LARGER * 512 + missing * MIB, MIB).size >= MIB
    with pytest.raises(NoRoom):
        place_at_end(table, LARGER * 512 + (missing - 1) * MIB, MIB)
    assert place_at_end(table, LARGER * 512, MIB, ignoring=1).number == 1
    with pytest.raises(NoRoom, match="first usable"):
        place_at_end(table, LARGER * 512, LARGER * 512, ignoring=1)
    with pytest.raises(NoRoom, match="partition 1"):
        place_at_end(mbr_table((0, 0x83, 2048, 2000)), SECTORS * 512, MIB)


def numbers_of(error: NoRoom) -> list[int]:
    """The bytes asked for, the first and the last one, and how many MiB are missing."""
    texts = (r"partition of (\d+) bytes", r"Bytes (\d+) to", r"to (\d+) are", r"at least (\d+) MiB larger")
    everything = f"{error} {error.detail} {error.hint}"
    return [int(re.findall(text, everything)[0]) for text in texts]


def test_it_may_begin_where_another_partition_ends() -> None:
    table = read_table(gpt_store([Part(2048, 4095)]), 512)
    plan = place_at_end(table, LARGER * 512, MIB, ahead_of=[by(3 * MIB)])
    assert (plan.start, plan.size) == (2 * MIB, MIB)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize(
    ("sector_size", "count", "entry_size"), [(512, 128, 128), (4096, 128, 256), (512, 4, 128)]
)
def test_on_gpt_only_two_entries_and_four_checksums_change(
    *, sector_size: int, count: int, entry_size: int, hybrid: bool
) -> None:
    entries = [(0, 0x83, 2048, 100), (0, 0xEE, 1, 99)] if hybrid else None
    store = Store(
        gpt_disk(
            LARGER,
            [Part(2048, 4000)],
            sector_size=sector_size,
            count=count,
            entry_size=entry_size,
            entries_in_mbr=entries,
        )
    )
    before = bytes(store.data)
    plan = place_at_end(read_table(store, sector_size), store.size, MIB)
    found = add(store, sector_size, plan, kind=ESP, name="EFI system", guid=GUID)
    assert (found.guid, found.name, found.type, found.is_esp) == (GUID, "EFI system", str(ESP.guid), True)
    assert (found.start, found.size, found.number) == (plan.start, plan.size, 2)
    array = store.size - sector_size - -(-count * entry_size // sector_size) * sector_size
    places = [(at + entry_size, at + 2 * entry_size) for at in (2 * sector_size, array)]
    for at in (sector_size, store.size - sector_size):
        places += [(at + 16, at + 20), (at + 88, at + 92)]
    changed = store.changed(before)
    assert all(any(first <= run[0] and run[1] <= end for first, end in places) for run in changed), changed
    remove(store, sector_size, 2)
    assert bytes(store.data) == before


def test_on_mbr_only_one_entry_changes() -> None:
    store = mbr_store(ROOT)
    before = bytes(store.data)
    plan = place_at_end(read_table(store, 512), store.size, MIB)
    found = add(store, 512, plan, kind=LINUX_DATA, name="", guid=GUID)
    assert (found.number, found.start, found.size, found.type) == (2, plan.start, plan.size, "0x83")
    assert (found.partuuid, found.legacy_bootable) == ("0000004d-02", False)
    assert all(first >= 462 and end <= 478 for first, end in store.changed(before))
    remove(store, 512, 2)
    assert bytes(store.data) == before


@pytest.mark.parametrize("make", [gpt_store, lambda: mbr_store(ROOT)])
def test_a_place_that_is_taken_is_refused_and_nothing_written(make: Callable[[], Store]) -> None:
    store = make()
    before = bytes(store.data)
    for start, number in ((MIB, 2), (8 * MIB, 1)):
        with pytest.raises(NoRoom):
            add(store, 512, Placement(start=start, size=MIB, number=number), kind=ESP, name="", guid=GUID)
    assert bytes(store.data) == before


def test_without_an_intact_backup_nothing_is_added() -> None:
    store = gpt_store()
    plan = place_at_end(read_table(store, 512), store.size, MIB)
    for broken in (bytes(512), Store(gpt_disk(LARGER)).data[-512:]):
        store.data[-512:] = broken
        store.writes.clear()
        with pytest.raises(TableUnusable):
            add(store, 512, plan, kind=ESP, name="", guid=GUID)
        assert store.writes == []


def test_a_backup_with_other_entries_is_not_added_to() -> None:
    store = gpt_store()
    store.data[-33 * 512 :] = gpt_disk(LARGER, [Part(2048, 3999)])[-33 * 512 :]
    plan = place_at_end(read_table(store, 512), store.size, MIB)
    with pytest.raises(TableUnusable, match="differ"):
        add(store, 512, plan, kind=ESP, name="", guid=GUID)
    assert store.writes == []


def test_what_is_not_taken_out() -> None:
    store = mbr_store(ROOT, (0, 5, 8192, 100))
    store.data[8192 * 512 : 8192 * 512 + 512] = mbr([(0, 0x83, 10, 10)])
    for number, said in ((3, "no partition 3"), (2, "extended"), (5, "logical")):
        with pytest.raises(TableUnusable, match=said) as removing:
            remove(store, 512, number)
        with pytest.raises(TableUnusable, match=said) as planning:
            require_removable(read_table(store, 512), number)
        assert str(planning.value) == str(removing.value)
    assert store.writes == []


@pytest.mark.parametrize("make", [gpt_store, lambda: mbr_store(ROOT)])
def test_what_can_be_taken_out(make: Callable[[], Store]) -> None:
    require_removable(read_table(make(), 512), 1)


@settings(max_examples=200)
@given(
    st.sampled_from([512, 4096]),
    st.integers(1, 6 * MIB),
    st.integers(1, LARGER),
    st.lists(st.integers(2048, LARGER - 200), min_size=2, max_size=6, unique=True),
)
def test_a_plan_is_aligned_and_free(sector_size: int, size: int, limit: int, ends: list[int]) -> None:
    ends.sort()
    parts = [Part(first, last - 1) for first, last in zip(ends[::2], ends[1::2], strict=False)]
    table = read_table(BytesReader(gpt_disk(LARGER, parts)), 512)
    if sector_size == 4096:
        table = mbr_table(ROOT)
    try:
        plan = place_at_end(table, LARGER * 512, size, ahead_of=[by(limit * 512)])
    except NoRoom:
        return
    assert plan.start % ALIGNMENT == 0 < plan.start
    assert size <= plan.size < size + ALIGNMENT + 512
    assert plan.end <= limit * 512
    assert all(part.end <= plan.start or plan.end <= part.start for part in table.partitions)
