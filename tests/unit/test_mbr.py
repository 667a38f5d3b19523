"""The MBR: what kind it is, what is in it, and chains of logical partitions that may be hostile."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioning.byte_access import BytesReader
from partitioning.errors import TableUnusable
from partitioning.extended_partitions import is_extended_record
from partitioning.mbr import Mbr, MbrKind, mbr_kind, read_mbr
from partitioning.mbr_entry import entry_offset, pack_entry
from tests.table_samples import mbr

SECTORS = 4096
LINUX = 0x83


def disk(first: bytes, records: dict[int, bytes] | None = None, sector_size: int = 512) -> BytesReader:
    data = bytearray(SECTORS * sector_size)
    for lba, record in {0: first, **(records or {})}.items():
        data[lba * sector_size : lba * sector_size + len(record)] = record
    return BytesReader(bytes(data))


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ([], MbrKind.NONE),
        ([(0, LINUX, 0, 0)], MbrKind.NONE),
        ([(0, 0, 2048, 100)], MbrKind.NONE),
        ([(0x01, LINUX, 2048, 100)], MbrKind.NONE),
        ([(0, LINUX, 2048, 100)], MbrKind.PLAIN),
        ([(0, 0xEE, 1, 4095)], MbrKind.PROTECTIVE),
        ([(0x80, 0xEE, 1, 0xFFFFFFFF)], MbrKind.PROTECTIVE),
        ([(0, LINUX, 2048, 100), (0, 0xEE, 1, 2047)], MbrKind.HYBRID),
    ],
)
def test_the_kind_follows_from_the_entries(entries: list[tuple[int, int, int, int]], kind: MbrKind) -> None:
    assert read_mbr(disk(mbr(entries)), 512).kind is kind
    assert mbr_kind(disk(mbr(entries))) is kind


def test_without_its_signature_it_is_none() -> None:
    assert read_mbr(disk(mbr([(0, LINUX, 2048, 100)])[:510]), 512).kind is MbrKind.NONE
    assert mbr_kind(BytesReader(bytes(100))) is MbrKind.NONE


def test_boot_code_and_disk_signature_are_seen() -> None:
    entries = [(0x80, LINUX, 2048, 100)]
    bare = read_mbr(disk(mbr(entries, signature=0xCAFE1234)), 512)
    assert (bare.has_boot_code, bare.disk_signature) == (False, 0xCAFE1234)
    assert bare.primaries[0].active
    assert read_mbr(disk(mbr(entries, boot_code=bytes(439) + b"\1")), 512).has_boot_code


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([(0, LINUX, 0, 100)], "begins at LBA 0"),
        ([(0, LINUX, 100, 100), (0, LINUX, 199, 1)], "1 and 2 overlap"),
        ([(0, LINUX, 1, 0xFFFFFFFF), (0, LINUX, 9, 1)], "1 and 2 overlap"),
    ],
)
def test_partitions_that_make_no_sense_are_refused(
    entries: list[tuple[int, int, int, int]], said: str
) -> None:
    with pytest.raises(TableUnusable) as error:
        read_mbr(disk(mbr(entries)), 512)
    assert said in error.value.detail


EXTENDED = mbr([(0, LINUX, 100, 100), (0, 0x0F, 1000, 1000)])


def link(data: tuple[int, int] | None, following: tuple[int, int] | None, kind: int = 5) -> bytes:
    """An extended boot record: its logical partition, and the record after it (first, sectors)."""
    entries = [
        (0, LINUX if data else 0, *(data or (0, 0))),
        (0, kind if following else 0, *(following or (0, 0))),
    ]
    return mbr(entries)


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_logical_partitions_are_listed_from_5(sector_size: int) -> None:
    chain = {1000: link((63, 37), (300, 200)), 1300: link((1, 99), (500, 100)), 1500: link((10, 20), None)}
    found = read_mbr(disk(EXTENDED, chain, sector_size), sector_size)
    assert [(part.number, part.first_lba, part.last_lba) for part in found.logicals] == [
        (5, 1063, 1099),
        (6, 1301, 1399),
        (7, 1510, 1529),
    ]
    assert [part.is_extended for part in found.partitions] == [False, True, False, False, False]


def test_an_extended_partition_without_a_record_is_empty() -> None:
    assert read_mbr(disk(EXTENDED), 512).logicals == ()


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ({1000: link((63, 37), (0, 200))}, "no end"),
        ({1000: link((63, 37), (300, 1)), 1300: link((1, 9), (0, 1))}, "no end"),
        ({1000: link((63, 37), (1000, 1))}, "outside partition 2"),
        ({1000: link((63, 37), (0xFFFFFFFF, 1))}, "outside partition 2"),
        ({1000: link((63, 37), (300, 1))}, "no extended boot record at LBA 1300"),
        ({1000: link((63, 938), None)}, "not inside partition 2"),
        ({1000: link((0, 10), None)}, "not inside partition 2"),
        ({1000: link((63, 100), (300, 1)), 1300: link((0, 20), None)}, None),
        ({1000: link((63, 400), (300, 1)), 1300: link((5, 20), None)}, "5 and 6 overlap"),
    ],
)
def test_a_chain_that_makes_no_sense_is_refused(chain: dict[int, bytes], said: str | None) -> None:
    if said is None:
        assert len(read_mbr(disk(EXTENDED, chain), 512).logicals) == 2
        return
    with pytest.raises(TableUnusable) as error:
        read_mbr(disk(EXTENDED, chain), 512)
    assert said in error.value.detail


def test_a_very_long_chain_ends() -> None:
    chain = {1000 + 2 * at: link((1, 1), (2 * at + 2, 2)) for at in range(499)}
    with pytest.raises(TableUnusable, match="no end"):
        read_mbr(disk(EXTENDED, chain), 512)


def test_an_extended_record_that_lies_beyond_the_image_is_refused() -> None:
    with pytest.raises(TableUnusable, match="outside"):
        read_mbr(disk(mbr([(0, 5, 9000, 1000)])), 512)


def test_an_extended_record_is_told_from_another_boot_sector() -> None:
    assert is_extended_record(BytesReader(link((63, 37), None)))
    assert not is_extended_record(BytesReader(bytes(510) + b"\x55\xaa"))
    assert not is_extended_record(BytesReader(mbr([(0, LINUX, 1, 1)] * 3)))
    assert not is_extended_record(BytesReader(bytes(512)))
    assert not is_extended_record(BytesReader(b""))


@pytest.mark.parametrize(
    ("first", "sectors", "expected"),
    [
        # As sfdisk 2.38 writes them (first CHS, last CHS).
        (2048, 2048, ("202100", "410100")),
        (1048576, 2048, ("450541", "652441")),
        (16450560, 2048, ("feffff", "feffff")),
    ],
)
def test_an_entry_is_as_sfdisk_makes_it(first: int, sectors: int, expected: tuple[str, str]) -> None:
    entry = pack_entry(type_byte=LINUX, first_lba=first, sectors=sectors)
    assert (entry[0], entry[4]) == (0, LINUX)
    assert (entry[1:4].hex(), entry[5:8].hex()) == expected
    record = bytearray(mbr([]))
    record[entry_offset(3) : entry_offset(4)] = entry
    found = read_mbr(disk(bytes(record)), 512).primaries
    assert [(part.number, part.first_lba, part.sectors) for part in found] == [(3, first, sectors)]


@given(st.binary(min_size=66, max_size=66), st.lists(st.binary(min_size=66, max_size=66), max_size=3))
def test_noise_is_read_or_refused(entries: bytes, records: list[bytes]) -> None:
    noisy = {at: bytes(446) + record[:64] + b"\x55\xaa" for at, record in enumerate(records, start=1)}
    with suppress(TableUnusable):
        assert isinstance(read_mbr(disk(bytes(446) + entries[:64] + b"\x55\xaa", noisy), 512), Mbr)
