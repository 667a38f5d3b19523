import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioning.uefi.sbat import SbatLevel, TooOld, built_in_level, newest, parse_level, too_old
from tests.efi_programs import sbat_level, sbat_level_section, sbat_section

LEVEL = parse_level(sbat_level("2025021800", shim=4, grub=5))


def test_a_level() -> None:
    assert SbatLevel(date="2025021800", least={"sbat": 1, "shim": 4, "grub": 5}) == LEVEL


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (sbat_section(grub=5, grub_debian=5), None),
        (sbat_section(grub=6), None),
        (sbat_section(grub=4, grub_debian=5), TooOld(component="grub", generation=4, least=5)),
        (sbat_section(systemd=1), None),
        (b"grub,x,Vendor", TooOld(component="grub", generation=0, least=5)),
        (b"grub", None),
        (b"", None),
        (b"grub,5,a\0grub,1,a", None),
    ],
)
def test_what_is_too_old(section: bytes, expected: TooOld | None) -> None:
    assert too_old(section, LEVEL) == expected


def test_a_shim_applies_the_first_of_its_levels_by_itself() -> None:
    section = sbat_level_section(sbat_level("2025021800", grub=5), sbat_level("2025051000", grub=6))
    assert built_in_level(section) == SbatLevel(date="2025021800", least={"sbat": 1, "grub": 5})


@pytest.mark.parametrize("section", [b"", bytes(11), struct.pack("<III", 1, 8, 9) + b"sbat,1,2\0"])
def test_a_section_of_another_form_has_no_level(section: bytes) -> None:
    assert built_in_level(section) is None


def test_the_later_level_counts() -> None:
    older = parse_level(sbat_level("2024010900", grub=4))
    assert newest((older, None, LEVEL)) == LEVEL
    assert newest((None,)) is None


@given(st.binary(max_size=200))
def test_any_bytes_make_an_answer(data: bytes) -> None:
    too_old(data, parse_level(data))
    built_in_level(data)
