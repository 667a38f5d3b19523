import struct
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitioning.uefi.signature_lists import (
    CERT_SHA256,
    CERT_X509,
    CERT_X509_SHA256,
    NOTHING,
    SignatureLists,
    parse_signature_lists,
)
from tests.efi_programs import sbsiglist, signature_list

RSA_2048 = UUID("3c5766e8-269c-4e34-aa14-ed776e85b3b6")
ONE, TWO = b"\x01" * 32, b"\x02" * 32


def test_lists_made_by_sbsiglist(tmp_path: Path) -> None:
    certificate = b"\x30\x03\x02\x01\x05"
    data = sbsiglist(certificate, "x509", tmp_path) + sbsiglist(ONE, "sha256", tmp_path)
    assert parse_signature_lists(data) == SignatureLists(certificates=(certificate,), hashes=frozenset({ONE}))


def test_a_list_of_several_entries_behind_a_header() -> None:
    data = signature_list(CERT_SHA256, [ONE, TWO], header=b"header")
    assert parse_signature_lists(data).hashes == {ONE, TWO}


def test_hashes_of_certificates_are_kept_apart_from_those_of_files() -> None:
    found = parse_signature_lists(signature_list(CERT_X509_SHA256, [ONE + bytes(16)]))
    assert found == SignatureLists(certificate_hashes=frozenset({ONE}))


def test_unknown_types_are_skipped() -> None:
    data = signature_list(RSA_2048, [bytes(256)]) + signature_list(CERT_SHA256, [TWO])
    assert parse_signature_lists(data) == SignatureLists(hashes=frozenset({TWO}))


def test_a_hash_of_the_wrong_size_is_skipped() -> None:
    assert parse_signature_lists(signature_list(CERT_SHA256, [bytes(31)])) == NOTHING


def test_what_stands_before_a_malformed_list_counts() -> None:
    good = signature_list(CERT_SHA256, [ONE])
    for bad in (good[:-1], good[:20], b"\xff" * 28, b""):
        assert parse_signature_lists(good + bad).hashes == {ONE}


@pytest.mark.parametrize("sizes", [(0, 0, 48), (28, 0, 0), (76, 0, 16), (76, 1 << 31, 48), (1 << 31, 0, 48)])
def test_sizes_that_contradict_each_other_end_the_reading(sizes: tuple[int, int, int]) -> None:
    data = CERT_SHA256.bytes_le + struct.pack("<III", *sizes) + bytes(48)
    assert parse_signature_lists(data + signature_list(CERT_SHA256, [ONE])) == NOTHING


def test_the_number_of_certificates_has_a_bound() -> None:
    data = signature_list(CERT_X509, [bytes([0x30, number]) for number in range(250)])
    assert len(parse_signature_lists(data).certificates) == 100


@given(st.binary(max_size=300))
def test_any_bytes_make_an_answer(data: bytes) -> None:
    parse_signature_lists(data)
    parse_signature_lists(signature_list(CERT_X509, [b"x"])[:16] + data)
