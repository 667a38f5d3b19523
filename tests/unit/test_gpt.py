"""The GPT is read strictly and written back byte for byte."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioning.byte_access import BytesReader
from partitioning.errors import TableUnusable
from partitioning.gpt import has_header, pack_entry, read_backup, read_primary
from tests.table_samples import DISK_GUID, ESP, Part, Store, gpt_disk, header

SECTORS = 4096
PARTS = [Part(100, 199, ESP, UUID(int=7), 1 << 2 | 1 << 60, "EFI ä €"), Part(200, 3000, guid=UUID(int=8))]

shapes = pytest.mark.parametrize(
    ("sector_size", "count", "entry_size"),
    [(512, 128, 128), (512, 4, 128), (512, 256, 128), (512, 128, 256), (4096, 128, 128), (4096, 4, 128)],
)


@shapes
def test_both_copies_are_read(sector_size: int, count: int, entry_size: int) -> None:
    disk = BytesReader(gpt_disk(SECTORS, PARTS, sector_size=sector_size, count=count, entry_size=entry_size))
    primary, backup = read_primary(disk, sector_size), read_backup(disk, sector_size)
    assert primary.partitions == backup.partitions
    assert primary.entries == backup.entries
    assert (backup.header.my_lba, backup.header.alternate_lba) == (SECTORS - 1, 1)
    assert primary.header.disk_guid == DISK_GUID
    esp, root = primary.partitions
    assert (esp.number, esp.first_lba, esp.last_lba, esp.name) == (1, 100, 199, "EFI ä €")
    assert (esp.type_guid, esp.unique_guid, esp.legacy_bootable) == (ESP, UUID(int=7), True)
    assert (root.number, root.legacy_bootable) == (2, False)
    assert primary.highest_lba == 3000


@shapes
def test_writing_back_what_was_read_changes_no_byte(sector_size: int, count: int, entry_size: int) -> None:
    before = gpt_disk(
        SECTORS, PARTS, sector_size=sector_size, count=count, entry_size=entry_size, extra=b"vendor"
    )
    store = Store(before)
    read_primary(store, sector_size).write(store)
    read_backup(store, sector_size).write(store)
    assert bytes(store.data) == before
    assert sum(length for _, length in store.writes) == 2 * (count * entry_size + 98)


@shapes
def test_the_backup_made_from_the_primary_is_the_backup(
    sector_size: int, count: int, entry_size: int
) -> None:
    disk = BytesReader(gpt_disk(SECTORS, PARTS, sector_size=sector_size, count=count, entry_size=entry_size))
    made, found = read_primary(disk, sector_size).as_backup(), read_backup(disk, sector_size)
    assert made.header_bytes() == found.header_bytes()
    assert made.entries_sectors() == found.entries_sectors()
    assert len(made.header_sector()) == sector_size


def test_a_new_entry_gets_into_the_array_and_the_checksum() -> None:
    store = Store(gpt_disk(SECTORS, PARTS, entry_size=256))
    entry = pack_entry(
        type_guid=ESP, unique_guid=UUID(int=9), first_lba=3500, last_lba=3600, attributes=4, name="x" * 99
    )
    read_primary(store, 512).with_entry(5, entry).write(store)
    found = read_primary(store, 512).partitions
    assert [part.number for part in found] == [1, 2, 6]
    assert (found[2].name, found[2].unique_guid, found[2].legacy_bootable) == ("x" * 36, UUID(int=9), True)
    assert found[:2] == read_backup(store, 512).partitions


def test_an_entry_on_top_of_another_is_refused() -> None:
    gpt = read_primary(BytesReader(gpt_disk(SECTORS, PARTS)), 512)
    with pytest.raises(TableUnusable) as error:
        gpt.with_entry(4, replace(gpt.partitions[0]).raw)
    assert "1 and 5 overlap" in error.value.detail


def put_header(disk: bytes, **fields: object) -> BytesReader:
    """The disk with another primary header, its checksum right."""
    entries = disk[1024 : 1024 + 128 * 128]
    usual: dict[str, object] = {
        "mine": 1, "other": SECTORS - 1, "first": 34, "last": SECTORS - 34,
        "array": 2, "count": 128, "entry_size": 128, "entries": entries,
    }  # fmt: skip
    made = header(**usual | fields)  # type: ignore[arg-type]
    return BytesReader(disk[:512] + made[:512].ljust(512, b"\0") + disk[1024:])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mine": 2}, "says it belongs at LBA 2"),
        ({"first": 4000, "last": 40}, "usable area is said to go"),
        ({"entry_size": 64}, "64 bytes"),
        ({"entry_size": 384}, "384 bytes"),
        ({"entry_size": 0}, "0 bytes"),
        ({"count": 0}, "no entries"),
        ({"count": 1 << 31}, "first MiB"),
        ({"entry_size": 1 << 31}, "first MiB"),
        ({"array": 1}, "begin at LBA 1"),
        ({"array": 1 << 60}, "first MiB"),
        ({"array": 3}, "area for partitions"),
        ({"first": 150}, "Partition 1 (LBA 100 to 199)"),
        ({"last": 2999}, "Partition 2 (LBA 200 to 3000)"),
        ({"entries": b""}, "entry array is wrong"),
        ({"extra": bytes(500)}, "says it is 592 bytes long"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(TableUnusable) as error:
        read_primary(put_header(gpt_disk(SECTORS, PARTS), **fields), 512)
    assert said in error.value.detail
    assert error.value.hint


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([Part(100, 200), Part(200, 300)], "1 and 2 overlap"),
        ([Part(500, 600), Part(100, 1000)], "2 and 1 overlap"),
        ([Part(300, 299)], "Partition 1"),
        ([Part(33, 60)], "Partition 1"),
        ([Part(100, (1 << 64) - 1)], "Partition 1"),
    ],
)
def test_partitions_that_make_no_sense_are_refused(parts: list[Part], said: str) -> None:
    with pytest.raises(TableUnusable) as error:
        read_primary(BytesReader(gpt_disk(SECTORS, parts)), 512)
    assert said in error.value.detail


def test_a_backup_whose_array_lies_elsewhere_is_refused() -> None:
    disk = bytearray(gpt_disk(SECTORS, PARTS))
    for array, said in ((2, "area for partitions"), (SECTORS - 32, "into its header")):
        made = header(
            mine=SECTORS - 1, other=1, first=34, last=SECTORS - 34, array=array,
            count=128, entry_size=128, entries=bytes(disk[1024 : 1024 + 16384]),
        )  # fmt: skip
        disk[-512:-420] = made
        with pytest.raises(TableUnusable, match=said):
            read_backup(BytesReader(bytes(disk)), 512)


@pytest.mark.parametrize("size", [0, 1, 512, 1023, 1024, 2048])
def test_a_disk_too_short_for_a_table_has_none(size: int) -> None:
    disk = BytesReader(gpt_disk(SECTORS)[:size])
    for read in (read_primary, read_backup):
        with pytest.raises(TableUnusable):
            read(disk, 512)


def test_the_header_alone_shows_the_sector_size() -> None:
    disk = gpt_disk(SECTORS, sector_size=4096)
    assert has_header(BytesReader(disk), 4096)
    assert not has_header(BytesReader(disk), 512)
    assert not has_header(BytesReader(b""), 512)


@given(st.integers(512, 512 * 34 - 1), st.integers(1, 255))
def test_every_changed_byte_of_header_and_array_is_noticed(at: int, flip: int) -> None:
    disk = bytearray(gpt_disk(SECTORS, PARTS))
    disk[at] ^= flip
    if 512 + 92 <= at < 1024:
        read_primary(BytesReader(bytes(disk)), 512)
        return
    with pytest.raises(TableUnusable):
        read_primary(BytesReader(bytes(disk)), 512)
