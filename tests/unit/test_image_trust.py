"""Whether programs signed by sbsign with keys made by openssl are accepted."""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioning import command
from partitioning.command import CommandFailed
from partitioning.uefi import image_trust, signer_check
from partitioning.uefi.authenticode import image_digest, parse_signature, signature_blobs
from partitioning.uefi.der import SignatureMalformed
from partitioning.uefi.image_trust import Outcome, Trust, TrustList, Verdict, accepted, is_signed
from partitioning.uefi.pe_image import parse_pe
from partitioning.uefi.signature_lists import NOTHING, SignatureLists
from partitioning.uefi.signer_check import signed_under
from tests.efi_programs import Pair, efi_program, make_pair, sbsign
from tests.small_images import tool

PROGRAM = efi_program({".sbat": b"sbat,1", ".data": bytes(1000)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """A root certified an authority, which certified a signer; the other root certified nobody."""

    directory: Path
    root: Pair
    authority: Pair
    signer: Pair
    other: Pair


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Signers:
    directory = tmp_path_factory.mktemp("signers")
    root = make_pair(directory, "Root")
    authority = make_pair(directory, "Authority", root)
    signer = make_pair(directory, "Signer", authority, days=-1)
    other = make_pair(directory, "Other")
    return Signers(directory=directory, root=root, authority=authority, signer=signer, other=other)


@pytest.fixture(scope="module")
def signed(signers: Signers) -> bytes:
    return sbsign(PROGRAM, signers.signer, signers.directory)


def trusting(*pairs: Pair, hashes: tuple[bytes, ...] = (), forbidden: SignatureLists = NOTHING) -> Trust:
    allowed = SignatureLists(certificates=tuple(pair.der for pair in pairs), hashes=frozenset(hashes))
    return Trust(
        judge="the firmware",
        allowed=(TrustList(owner="the firmware", name="db", lists=allowed),),
        forbidden=(TrustList(owner="the firmware", name="dbx", lists=forbidden),),
    )


def digest(program: bytes) -> bytes:
    return image_digest(parse_pe(program))


@pytest.mark.parametrize(
    "program",
    [
        PROGRAM,
        efi_program({".vendor_cert": b"long name, so there is a string table behind the sections"}),
        efi_program(gap=4096),
        efi_program() + bytes(16),
        efi_program(machine=0xAA64),
    ],
    ids=["plain", "string table", "gap", "trailing bytes", "arm64"],
)
def test_the_sum_is_the_one_that_sbsign_signs(signers: Signers, program: bytes) -> None:
    image = parse_pe(sbsign(program, signers.signer, signers.directory))
    (blob,) = signature_blobs(image)
    assert parse_signature(blob).digest == image_digest(image) == digest(program)


def test_the_sum_leaves_out_the_checksum_and_what_belongs_to_the_signature(signed: bytes) -> None:
    changed = bytearray(signed)
    image = parse_pe(signed)
    struct.pack_into("<I", changed, image.checksum_at, 12345)
    changed[-1] ^= 1
    assert digest(bytes(changed)) == digest(signed) == digest(PROGRAM)


def test_is_signed(signed: bytes) -> None:
    assert is_signed(signed)
    assert not is_signed(PROGRAM)


@pytest.mark.parametrize("trusted", ["root", "authority", "signer"])
def test_any_certificate_of_the_chain_may_be_the_trusted_one(
    signers: Signers, signed: bytes, trusted: str
) -> None:
    # The signer's certificate has expired, which no firmware looks at.
    pair: Pair = getattr(signers, trusted)
    verdict = accepted(signed, trusting(signers.other, pair))
    reason = f"it is signed under {pair.name!r}, which the firmware trusts (db)"
    assert verdict == Verdict(outcome=Outcome.ACCEPTED, reason=reason)


def test_signed_by_nobody_who_is_trusted(signers: Signers, signed: bytes) -> None:
    verdict = accepted(signed, trusting(signers.other))
    reason = "it is signed, but by nobody the firmware trusts: 'Signer' (certified by 'Authority')"
    assert verdict == Verdict(outcome=Outcome.REFUSED, reason=reason)


def test_signed_by_nobody_who_is_known_where_not_all_who_are_trusted_can_be_seen(
    signers: Signers, signed: bytes
) -> None:
    verdict = accepted(signed, replace(trusting(signers.other), unseen="the list x can not be seen"))
    reason = (
        "it is signed, but by nobody who is known to be trusted: 'Signer' (certified by 'Authority');"
        " the list x can not be seen"
    )
    assert verdict == Verdict(outcome=Outcome.UNKNOWN, reason=reason)


def test_a_chain_with_a_link_missing_is_not_trusted(signers: Signers) -> None:
    alone = sbsign(PROGRAM, signers.signer, signers.directory, with_issuers=False)
    assert accepted(alone, trusting(signers.root)).outcome is Outcome.REFUSED
    assert accepted(alone, trusting(signers.authority)).outcome is Outcome.ACCEPTED


def test_a_certificate_of_the_same_name_is_not_enough(
    signers: Signers, signed: bytes, tmp_path: Path
) -> None:
    for name in ("Root", "Authority", "Signer"):
        assert accepted(signed, trusting(make_pair(tmp_path, name))).outcome is Outcome.REFUSED


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A directory that the user nobody can read, unlike those that pytest makes."""
    with TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def test_what_this_system_trusts_for_the_web_does_not_count(
    signers: Signers, signed: bytes, public_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = public_directory / "root.pem"
    bundle.write_bytes(signers.root.certificate.read_bytes())
    tool("openssl", "rehash", public_directory)
    places = {"SSL_CERT_DIR": str(public_directory), "SSL_CERT_FILE": str(bundle)}
    environment = command._environment() | places
    monkeypatch.setattr(command, "_environment", lambda: environment)
    assert accepted(signed, trusting(signers.other)).outcome is Outcome.REFUSED


def test_not_signed(signers: Signers) -> None:
    assert accepted(PROGRAM, trusting(signers.root)) == Verdict(
        outcome=Outcome.REFUSED, reason="it is not signed"
    )


def test_a_file_changed_after_it_was_signed(signers: Signers, signed: bytes) -> None:
    changed = bytearray(signed)
    changed[parse_pe(signed).sections[0].offset] ^= 1
    verdict = accepted(bytes(changed), trusting(signers.root))
    reason = "its signature is over other content: the file was changed or is damaged"
    assert verdict == Verdict(outcome=Outcome.REFUSED, reason=reason)


def test_a_signature_whose_sum_was_changed_to_fit(signers: Signers, signed: bytes) -> None:
    changed = bytearray(signed)
    changed[parse_pe(signed).sections[0].offset] ^= 1
    forged = bytes(changed).replace(digest(signed), digest(bytes(changed)))
    assert forged != bytes(changed)
    assert accepted(forged, trusting(signers.root)).outcome is Outcome.REFUSED


def test_one_of_two_signatures_is_enough(signers: Signers, signed: bytes) -> None:
    twice = sbsign(signed, signers.other, signers.directory)
    assert len(signature_blobs(parse_pe(twice))) == 2
    assert accepted(twice, trusting(signers.root)).outcome is Outcome.ACCEPTED
    assert accepted(twice, trusting(signers.other)).outcome is Outcome.ACCEPTED


def test_a_file_may_be_allowed_by_its_sum(signers: Signers, signed: bytes) -> None:
    trust = trusting(hashes=(digest(PROGRAM),))
    verdict = Verdict(outcome=Outcome.ACCEPTED, reason="the firmware allows this very file (db)")
    assert accepted(PROGRAM, trust) == verdict
    assert accepted(signed, trust) == verdict


def test_a_file_may_be_forbidden_by_its_sum(signers: Signers, signed: bytes) -> None:
    forbidden = SignatureLists(hashes=frozenset({digest(PROGRAM)}))
    verdict = Verdict(outcome=Outcome.REFUSED, reason="the firmware forbids this very file (dbx)")
    for program in (PROGRAM, signed):
        assert (
            accepted(program, trusting(signers.root, hashes=(digest(PROGRAM),), forbidden=forbidden))
            == verdict
        )


def test_a_forbidden_certificate_counts_more_than_another_signature(signers: Signers, signed: bytes) -> None:
    twice = sbsign(signed, signers.other, signers.directory)
    trust = trusting(signers.root, forbidden=SignatureLists(certificates=(signers.other.der,)))
    assert accepted(signed, trust).outcome is Outcome.ACCEPTED
    reason = "the firmware forbids all that is signed under 'Other' (dbx)"
    assert accepted(twice, trust) == Verdict(outcome=Outcome.REFUSED, reason=reason)


def test_a_certificate_may_be_forbidden_by_the_sum_of_its_signed_part(
    signers: Signers, signed: bytes
) -> None:
    part, whole = signers.directory / "part", signers.directory / "whole"
    whole.write_bytes(signers.authority.der)
    # The signed part is the first thing in a certificate, behind the 4 bytes that begin it.
    tool("openssl", "asn1parse", "-inform", "DER", "-in", whole, "-strparse", "4", "-noout", "-out", part)
    forbidden = SignatureLists(certificate_hashes=frozenset({hashlib.sha256(part.read_bytes()).digest()}))
    reason = "the firmware forbids all that is signed under 'Authority' (dbx)"
    verdict = accepted(signed, trusting(signers.root, forbidden=forbidden))
    assert verdict == Verdict(outcome=Outcome.REFUSED, reason=reason)


@pytest.mark.parametrize(
    "junk",
    [b"", b"\x30\x00", b"\x30\x82\xff\xff", bytes(100)],
    ids=["empty", "empty sequence", "cut short", "zeroes"],
)
def test_a_certificate_that_can_not_be_read_trusts_nobody(
    signers: Signers, signed: bytes, junk: bytes
) -> None:
    lists = SignatureLists(certificates=(junk, signers.root.der))
    trust = Trust(judge="x", allowed=(TrustList(owner="x", name="db", lists=lists),), forbidden=())
    assert accepted(signed, trust).outcome is Outcome.ACCEPTED
    (blob,) = signature_blobs(parse_pe(signed))
    assert not signed_under(parse_signature(blob), junk)


@pytest.mark.parametrize("data", [b"", b"MZ", b"\x7fELF" + bytes(1000), PROGRAM[:300]])
def test_what_is_no_program_is_refused(signers: Signers, data: bytes) -> None:
    verdict = accepted(data, trusting(signers.root))
    assert verdict.outcome is Outcome.REFUSED
    assert verdict.reason.startswith("it is not a valid EFI program (")


def with_signature(program: bytes, blob: bytes) -> bytes:
    table = struct.pack("<IHH", 8 + len(blob), 0x200, 2) + blob
    table = table.ljust(-(-len(table) // 8) * 8, b"\0")
    image = parse_pe(program)
    assert image.certificates_entry_at is not None
    whole = bytearray(program)
    struct.pack_into("<II", whole, image.certificates_entry_at, len(program), len(table))
    return bytes(whole) + table


def test_a_signature_that_can_not_be_read_leaves_the_answer_open(signers: Signers) -> None:
    verdict = accepted(with_signature(PROGRAM, b"\x30\x80junk"), trusting(signers.root))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reason.startswith("its signature can not be read here (")


def test_a_signature_over_another_kind_of_sum_leaves_the_answer_open(signers: Signers, signed: bytes) -> None:
    (blob,) = signature_blobs(parse_pe(signed))
    sha256, sha384 = bytes.fromhex("608648016503040201"), bytes.fromhex("608648016503040202")
    verdict = accepted(with_signature(PROGRAM, blob.replace(sha256, sha384)), trusting(signers.root))
    assert verdict.outcome is Outcome.UNKNOWN
    assert "another sum than SHA-256" in verdict.reason


def test_without_the_tool_only_the_unsigned_is_refused(
    signers: Signers, signed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_trust, "can_check", lambda: False)
    verdict = accepted(signed, trusting(signers.root))
    assert verdict.outcome is Outcome.UNKNOWN
    assert "tool openssl (package openssl)" in verdict.reason
    assert accepted(PROGRAM, trusting(signers.root)).outcome is Outcome.REFUSED


def test_when_the_tool_fails_the_answer_is_open(
    signers: Signers, signed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signer_check, "_LIMITS", command.Limits(address_space=1 << 20))
    (blob,) = signature_blobs(parse_pe(signed))
    with pytest.raises(CommandFailed):
        signed_under(parse_signature(blob), signers.root.der)
    verdict = accepted(signed, trusting(signers.root))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reason.startswith("its signature can not be checked here (")


def test_names_can_not_write_on_the_terminal(signers: Signers, tmp_path: Path) -> None:
    program = sbsign(PROGRAM, make_pair(tmp_path, "x" * 20), tmp_path)
    (blob,) = signature_blobs(parse_pe(program.replace(b"x" * 20, b"\x1b[2J\r\n" + b"y" * 14)))
    assert parse_signature(blob).signer == "?[2J??" + "y" * 14


@settings(max_examples=200)
@given(data=st.data())
def test_whatever_a_signature_holds_it_ends_with_an_answer_or_an_error(
    signers: Signers, signed: bytes, data: st.DataObject
) -> None:
    (blob,) = signature_blobs(parse_pe(signed))
    changed = bytearray(blob)
    for at in data.draw(st.lists(st.integers(0, len(blob) - 1), min_size=1, max_size=6)):
        changed[at] = data.draw(st.integers(0, 255))
    try:
        parse_signature(bytes(changed))
    except SignatureMalformed:
        return


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_as_a_signature(data: bytes) -> None:
    with pytest.raises(SignatureMalformed):
        parse_signature(data)
