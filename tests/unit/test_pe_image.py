import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning.uefi.authenticode import image_digest, signature_blobs
from partitioning.uefi.pe_image import PeMalformed, parse_pe
from tests.efi_programs import efi_program

PE = 0x80
COFF = PE + 4
OPTIONAL = COFF + 20
TABLE = OPTIONAL + 240


def changed(at: int, fields: str, *values: int) -> bytes:
    program = bytearray(efi_program({".sbat": b"text"}))
    struct.pack_into(fields, program, at, *values)
    return bytes(program)


def test_sections_are_found_by_name() -> None:
    image = parse_pe(
        efi_program({".sbat": b"sbat,1", ".vendor_cert": b"certificates", ".sbatlevel": b"level"})
    )
    assert [section.name for section in image.sections] == [".text", ".sbat", ".vendor_cert", ".sbatlevel"]
    assert image.section(".vendor_cert") == b"certificates"
    assert image.section(".none", ".sbat") == b"sbat,1"
    assert image.section(".none") is None


def test_an_unsigned_program_has_no_certificates() -> None:
    image = parse_pe(efi_program())
    assert image.certificates_size == 0
    assert signature_blobs(image) == []


def test_headers_without_room_for_a_certificate_table() -> None:
    image = parse_pe(efi_program(directories=4))
    assert image.certificates_entry_at is None
    assert len(image_digest(image)) == 32


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "MZ"),
        (b"\x7fELF" + bytes(500), "MZ"),
        (b"MZ" + bytes(500), "no PE header"),
        (b"MZ" + b"\xff" * 500, "no PE header"),
        (efi_program()[:OPTIONAL], "beyond its end"),
        (changed(OPTIONAL, "<H", 0x107), "unknown kind 0x0107"),
        (changed(COFF + 2, "<H", 97), "97 sections"),
        (changed(COFF + 2, "<H", 60), "Section"),
        (changed(TABLE + 16, "<I", 1 << 30), "Section 1 ends at byte"),
        (changed(TABLE + 20, "<I", (1 << 32) - 1), "Section 1 ends at byte"),
        (changed(OPTIONAL + 60, "<I", 100), "headers can not end at byte 100"),
        (changed(OPTIONAL + 60, "<I", 1 << 20), "headers can not end at byte 1048576"),
        (changed(OPTIONAL + 112 + 32, "<II", 0, 1 << 20), "larger than the file"),
        (changed(OPTIONAL + 112 + 32, "<II", 1 << 20, 0x100), "larger than the file"),
    ],
)
def test_what_contradicts_itself_is_refused(data: bytes, detail: str) -> None:
    with pytest.raises(PeMalformed) as caught:
        parse_pe(data)
    assert detail in caught.value.detail


def test_a_certificate_table_beyond_the_end_is_refused() -> None:
    program = bytearray(efi_program() + bytes(4096))
    struct.pack_into("<II", program, OPTIONAL + 112 + 32, 1 << 20, 0x100)
    with pytest.raises(PeMalformed, match="not a valid EFI program"):
        parse_pe(bytes(program))


def test_sections_that_overlap_do_not_multiply_the_work() -> None:
    program = bytearray(efi_program({f".s{number}": b"x" for number in range(90)}) + bytes(1 << 20))
    for number in range(91):
        struct.pack_into("<II", program, TABLE + number * 40 + 16, 1 << 20, 0x1000)
    with pytest.raises(PeMalformed, match="valid EFI program"):
        parse_pe(bytes(program))


@pytest.mark.parametrize("length", [0, 7, 4097])
def test_a_broken_certificate_table_is_refused(length: int) -> None:
    program = bytearray(efi_program() + bytes(4096))
    struct.pack_into("<II", program, OPTIONAL + 112 + 32, len(program) - 4096, 4096)
    struct.pack_into("<IHH", program, len(program) - 4096, length, 0x200, 2)
    with pytest.raises(PeMalformed) as caught:
        signature_blobs(parse_pe(bytes(program)))
    assert "certificate table is broken" in caught.value.detail


def test_only_so_many_signatures_are_read() -> None:
    program = bytearray(efi_program())
    table = struct.pack("<IHH", 8, 0x200, 2) * 17
    struct.pack_into("<II", program, OPTIONAL + 112 + 32, len(program), len(table))
    with pytest.raises(PeMalformed):
        signature_blobs(parse_pe(bytes(program) + table))


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, TABLE + 200), st.binary(min_size=1, max_size=8)), max_size=8))
def test_whatever_the_headers_say_it_ends_with_an_answer_or_an_error(
    changes: list[tuple[int, bytes]],
) -> None:
    program = bytearray(efi_program({".vendor_cert": b"x", ".sbat": b"y"}))
    for at, change in changes:
        program[at : at + len(change)] = change
    try:
        image = parse_pe(bytes(program))
        image_digest(image)
        signature_blobs(image)
    except PeMalformed:
        return
    assert all(image.section(section.name) is not None for section in image.sections)
