import struct

import pytest

from partitioning.uefi import shim as shim_file
from partitioning.uefi.pe_image import PeMalformed, parse_pe
from partitioning.uefi.shim import is_shim, vendor_allowed, vendor_forbidden
from partitioning.uefi.signature_lists import CERT_SHA256, CERT_X509, NOTHING
from tests.efi_programs import efi_program, signature_list, vendor_section

CERTIFICATE = b"\x30\x03\x02\x01\x05"
OTHER = b"\x30\x03\x02\x01\x06"
ONE = b"\x01" * 32


def certificates(program: bytes) -> tuple[bytes, ...]:
    section = shim_file.vendor_section(parse_pe(program))
    assert section is not None
    return vendor_allowed(section).certificates


def test_a_single_certificate() -> None:
    shim = efi_program({".vendor_cert": vendor_section(CERTIFICATE)})
    assert is_shim(shim)
    assert certificates(shim) == (CERTIFICATE,)


def test_lists_of_what_is_allowed_and_what_is_forbidden() -> None:
    allowed = signature_list(CERT_X509, [CERTIFICATE, OTHER])
    section = vendor_section(allowed, signature_list(CERT_SHA256, [ONE]))
    assert vendor_allowed(section).certificates == (CERTIFICATE, OTHER)
    assert vendor_forbidden(section).hashes == {ONE}


def test_a_name_that_was_cut_to_eight_bytes() -> None:
    assert certificates(efi_program({".vendor_": vendor_section(CERTIFICATE)})) == (CERTIFICATE,)


def test_another_program_is_no_shim() -> None:
    other = efi_program({".sbat": b"shim,4"})
    assert not is_shim(other)
    with pytest.raises(PeMalformed):
        is_shim(b"MZ")


def test_a_shim_may_have_no_certificate() -> None:
    shim = efi_program({".vendor_cert": vendor_section(b"")})
    assert is_shim(shim)
    assert certificates(shim) == ()


@pytest.mark.parametrize(
    "section",
    [b"", b"\xff" * 16, struct.pack("<IIII", 1 << 31, 1 << 31, 0, 0), struct.pack("<IIII", 9, 9, 900, 900)],
)
def test_a_malformed_section_allows_and_forbids_nothing(section: bytes) -> None:
    assert vendor_allowed(section) == NOTHING
    assert vendor_forbidden(section) == NOTHING
