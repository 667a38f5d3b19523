"""One form for both sorts of table, and a good answer when there is none to work with."""

from contextlib import suppress
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning.byte_access import BytesReader
from partitioning.errors import DiskError, SectorSizeMismatch, TableUnusable
from partitioning.partition_types import BIOS_BOOT
from partitioning.table import NoTable, TableKind, detect_sector_size, read_table
from tests.table_samples import ESP, Part, gpt_disk, mbr

SECTORS = 4096
PARTS = [
    Part(100, 199, ESP, UUID(int=7), name="EFI"),
    Part(200, 207, BIOS_BOOT),
    Part(300, 3000, attributes=4),
]
EXT4 = bytes(1024 + 56) + b"\x53\xef" + bytes(200)


def mbr_disk(entries: list[tuple[int, int, int, int]], *, sectors: int = SECTORS, **there: bytes) -> bytes:
    """A disk with an MBR; ``at_N=data`` puts data at byte N."""
    disk = bytearray(mbr(entries, signature=0x89ABCDEF).ljust(sectors * 512, b"\0"))
    for name, data in there.items():
        at = int(name.removeprefix("at_"))
        disk[at : at + len(data)] = data
    return bytes(disk)


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_a_gpt_in_bytes(sector_size: int) -> None:
    table = read_table(BytesReader(gpt_disk(SECTORS, PARTS, sector_size=sector_size)), sector_size)
    assert (table.kind, table.sector_size, table.has_boot_code) == (TableKind.GPT, sector_size, False)
    esp, bios, root = table.partitions
    assert (esp.number, esp.start, esp.size) == (1, 100 * sector_size, 100 * sector_size)
    assert (esp.type, esp.name, esp.guid, esp.partuuid) == (str(ESP), "EFI", UUID(int=7), str(UUID(int=7)))
    assert (esp.is_esp, bios.is_esp, bios.is_bios_boot, root.is_bios_boot) == (True, False, True, False)
    assert (esp.legacy_bootable, root.legacy_bootable) == (False, True)
    assert table.by_guid(UUID(int=7)) == table.by_number(1) == esp
    assert table.by_number(4) is None


def test_an_mbr_in_bytes() -> None:
    disk = mbr_disk([(0x80, 0x83, 2048, 100), (0, 0xEF, 2148, 50)], at_0=b"\xeb")
    table = read_table(BytesReader(disk), 512)
    assert (table.kind, table.gpt, table.has_boot_code) == (TableKind.MBR, None, True)
    root, _ = table.partitions
    assert (root.start, root.size, root.type, root.type_name) == (
        2048 * 512,
        51200,
        "0x83",
        "Linux file system",
    )
    assert (root.guid, root.partuuid, root.legacy_bootable) == (None, "89abcdef-01", True)


def test_an_image_without_its_backup_is_read() -> None:
    assert len(read_table(BytesReader(gpt_disk(SECTORS, PARTS)[: 3001 * 512]), 512).partitions) == 3


def test_a_gpt_behind_a_hybrid_mbr_counts_and_behind_a_plain_one_does_not() -> None:
    hybrid = gpt_disk(SECTORS, PARTS, entries_in_mbr=[(0, 0x83, 300, 2701), (0, 0xEE, 1, 299)])
    plain = gpt_disk(SECTORS, PARTS, entries_in_mbr=[(0, 0x83, 300, 2701)])
    assert read_table(BytesReader(hybrid), 512).kind is TableKind.GPT
    assert read_table(BytesReader(plain), 512).kind is TableKind.MBR


@pytest.mark.parametrize("disk", [bytes(65536), b"", bytes(511), b"\xff" * 65536, EXT4 + bytes(65536)])
def test_no_table_at_all(disk: bytes) -> None:
    expected = TableUnusable if len(disk) < 512 else NoTable
    with pytest.raises(expected):
        read_table(BytesReader(disk), 512)
    assert detect_sector_size(BytesReader(disk)) is None


def broken_primary(at: int) -> bytes:
    disk = bytearray(gpt_disk(SECTORS, PARTS))
    disk[at] ^= 0xFF
    return bytes(disk)


@pytest.mark.parametrize(("at", "said"), [(512, "no GPT header"), (560, "header at LBA 1"), (1100, "array")])
def test_when_only_the_backup_is_good_it_says_so(at: int, said: str) -> None:
    with pytest.raises(TableUnusable) as error:
        read_table(BytesReader(broken_primary(at)), 512)
    assert error.value.message == "Only the backup GPT is good, the primary is not."
    assert said in error.value.detail
    with pytest.raises(TableUnusable) as error:
        read_table(BytesReader(broken_primary(at)[:-512]), 512)
    assert error.value.message == "The GPT is not usable."


def test_a_gpt_without_a_protective_mbr_is_refused() -> None:
    elsewhere = [(0, 0xEE, 2, 4094)], [(0, 0x83, 300, 10), (0, 0xEE, 40, 10)]
    for record in (bytes(512), *(mbr(entries) for entries in elsewhere)):
        disk = record + gpt_disk(SECTORS, PARTS)[512:]
        with pytest.raises(TableUnusable, match="no protective MBR") as error:
            read_table(BytesReader(disk), 512)
        assert not isinstance(error.value, NoTable)


@pytest.mark.parametrize(("made_for", "disk_has"), [(512, 4096), (4096, 512)])
def test_a_gpt_for_the_other_sector_size(made_for: int, disk_has: int) -> None:
    disk = gpt_disk(SECTORS, PARTS, sector_size=made_for)
    for image in (disk, bytes(512) + disk[512:]):
        with pytest.raises(SectorSizeMismatch) as error:
            read_table(BytesReader(image), disk_has)
        assert str(made_for) in error.value.message
        assert str(disk_has) in error.value.message
        assert "looks like no table" in error.value.detail
    assert detect_sector_size(BytesReader(disk)) == made_for


def test_a_partition_beyond_the_end_is_refused() -> None:
    with pytest.raises(TableUnusable, match="Partition 3 reaches beyond the end"):
        read_table(BytesReader(gpt_disk(SECTORS, PARTS)[: 3001 * 512 - 1]), 512)


LARGE = 16384
AT_512, AT_4096 = {"at_1048576": EXT4}, {"at_4194304": EXT4}


@pytest.mark.parametrize(
    ("entry", "there", "size"),
    [
        ((0, 0x83, 2048, 100), AT_512, 512),
        ((0, 0x83, 2048, 100), {}, 512),
        ((0, 0x83, 1024, 100), AT_4096, 4096),
        ((0, 0x83, 1024, 100), {"at_524288": EXT4} | AT_4096, 512),
        ((0, 0x0F, 1024, 1000), {"at_4194304": mbr([(0, 0x83, 10, 10)])}, 4096),
        ((0, 0x0F, 1024, 9000), {"at_524288": mbr([(0, 0x83, 9, 1)])}, 512),
    ],
)
def test_the_sector_size_of_an_mbr(
    entry: tuple[int, int, int, int], there: dict[str, bytes], size: int
) -> None:
    reader = BytesReader(mbr_disk([entry], sectors=LARGE, **there))
    assert detect_sector_size(reader) == size
    assert read_table(reader, size).kind is TableKind.MBR
    if there:
        other = 4096 if size == 512 else 512
        if entry[1] == 0x83 and "at_524288" in there:
            assert read_table(reader, other).kind is TableKind.MBR
            return
        with pytest.raises(SectorSizeMismatch):
            read_table(reader, other)


def test_an_empty_mbr_partition_on_a_4kn_disk_is_believed_when_it_fits() -> None:
    reader = BytesReader(mbr_disk([(0, 0x83, 256, 1000)], sectors=LARGE))
    assert read_table(reader, 4096).partitions[0].start == 1 << 20
    with pytest.raises(SectorSizeMismatch):
        read_table(BytesReader(mbr_disk([(0, 0x83, 256, 3000)], sectors=LARGE)), 4096)


def test_an_extended_chain_that_only_makes_sense_at_4096() -> None:
    # At 512 the bytes at the chain's beginning are another record, which points nowhere.
    nonsense = mbr([(0, 0x83, 5000, 10)])
    sense = mbr([(0, 0x83, 10, 10)])
    reader = BytesReader(
        mbr_disk([(0, 0x0F, 1024, 1000)], sectors=LARGE, at_524288=nonsense, at_4194304=sense)
    )
    assert detect_sector_size(reader) == 4096
    with pytest.raises(SectorSizeMismatch):
        read_table(reader, 512)
    assert len(read_table(reader, 4096).partitions) == 2


LOGICALS = mbr_disk(
    [(0, 0x83, 100, 100), (0, 5, 1000, 2000)], at_512000=mbr([(0, 0x83, 63, 10), (0, 5, 500, 9)])
)


@settings(max_examples=300)
@given(
    st.sampled_from([gpt_disk(256, [Part(40, 60), Part(70, 90)]), gpt_disk(64, sector_size=4096), LOGICALS]),
    st.lists(st.tuples(st.integers(0, 4096), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4),
    st.sampled_from([512, 4096]),
)
def test_mutations_are_read_or_refused(disk: bytes, changes: list[tuple[int, bytes]], size: int) -> None:
    mutated = bytearray(disk)
    for at, data in changes:
        mutated[at : at + len(data)] = data
    with suppress(DiskError):
        read_table(BytesReader(bytes(mutated)), size)
    assert detect_sector_size(BytesReader(bytes(mutated))) in (None, 512, 4096)
