"""Debian's signed boot chain before firmware that has Microsoft's keys, as a server comes from its maker."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from partitioning.uefi.authenticode import image_digest, parse_signature, signature_blobs
from partitioning.uefi.boot_chain import Role, Stage, check_chain
from partitioning.uefi.certificate import parse_certificate
from partitioning.uefi.image_trust import Outcome
from partitioning.uefi.pe_image import parse_pe
from partitioning.uefi.sbat import parse_level, too_old
from partitioning.uefi.secure_boot import SecureBoot, SecureBootState, read_secure_boot
from partitioning.uefi.shim import is_shim, vendor_allowed, vendor_forbidden, vendor_section
from partitioning.uefi.signature_lists import SignatureLists
from tests.debian_files import debian_package, newest_dependency
from tests.efi_programs import make_pair, sbat_level, sbsign
from tests.ovmf_variables import ovmf_variables
from tests.small_images import tool

GLOBAL = UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
UEFI_CA = "Microsoft Corporation UEFI CA 2011"
DEBIAN_CA = "Debian Secure Boot CA"


@pytest.fixture(scope="module")
def secure_boot(tmp_path_factory: pytest.TempPathFactory) -> SecureBoot:
    root = tmp_path_factory.mktemp("efivars")
    for name, content in ovmf_variables().items():
        (root / name.replace("/", "_")).write_bytes(content)
    (root / f"SecureBoot-{GLOBAL}").write_bytes(b"\x06\0\0\0\x01")
    found = read_secure_boot(root)
    assert found.state is SecureBootState.ON
    return found


@pytest.fixture(scope="module")
def shim() -> bytes:
    return (debian_package("shim-signed") / "usr/lib/shim/shimx64.efi.signed").read_bytes()


@pytest.fixture(scope="module")
def unsigned() -> bytes:
    return (debian_package("shim-unsigned") / "usr/lib/shim/fbx64.efi").read_bytes()


@pytest.fixture(scope="module")
def grub() -> bytes:
    directory = debian_package("grub-efi-amd64-signed") / "usr/lib/grub/x86_64-efi-signed"
    return (directory / "grubx64.efi.signed").read_bytes()


@pytest.fixture(scope="module")
def kernel() -> bytes:
    package = newest_dependency("linux-image-cloud-amd64", "linux-image-")
    return next((debian_package(package) / "boot").glob("vmlinuz-*")).read_bytes()


def built_in(shim: bytes) -> bytes:
    section = vendor_section(parse_pe(shim))
    assert section is not None
    return section


def loader(data: bytes) -> Stage:
    return Stage(role=Role.LOADER, path="\\EFI\\BOOT\\BOOTX64.EFI", data=data)


def second(data: bytes) -> Stage:
    return Stage(role=Role.SECOND_STAGE, path="\\EFI\\BOOT\\grubx64.efi", data=data)


def linux(data: bytes) -> Stage:
    return Stage(role=Role.KERNEL, path="/boot/vmlinuz", data=data)


@pytest.mark.parametrize("name", ["shim", "grub", "kernel"])
def test_our_sum_is_the_one_that_each_of_them_has_signed(name: str, request: pytest.FixtureRequest) -> None:
    image = parse_pe(request.getfixturevalue(name))
    found = [parse_signature(blob).digest for blob in signature_blobs(image)]
    assert found
    assert set(found) == {image_digest(image)}


def test_the_chain_is_accepted(secure_boot: SecureBoot, shim: bytes, grub: bytes, kernel: bytes) -> None:
    verdict = check_chain(secure_boot, [loader(shim), second(grub), linux(kernel)])
    assert (verdict.outcome, verdict.reason) == (Outcome.ACCEPTED, "")
    reasons = [one.verdict.reason for one in verdict.stages]
    assert f"signed under {UEFI_CA!r}, which the firmware trusts" in reasons[0]
    assert all(f"signed under {DEBIAN_CA!r}, which the shim trusts" in reason for reason in reasons[1:])


def test_only_the_authority_that_signed_the_shim_makes_it_accepted(
    secure_boot: SecureBoot, shim: bytes, tmp_path: Path
) -> None:
    # sbverify of version 0.9.4 says yes to each of these: the shim brings Microsoft's certificates along.
    assert secure_boot.db is not None
    by_name = {parse_certificate(one).subject: one for one in secure_boot.db.certificates}
    windows = by_name["Microsoft Windows Production PCA 2011"]
    for certificate in (
        windows,
        make_pair(tmp_path, "Anybody").der,
        *vendor_allowed(built_in(shim)).certificates,
    ):
        trust = replace(secure_boot, db=SignatureLists(certificates=(certificate,)))
        verdict = check_chain(trust, [loader(shim)])
        assert verdict.outcome is Outcome.REFUSED
        assert "'Microsoft Windows UEFI Driver Publisher'" in verdict.reason
    trust = replace(secure_boot, dbx=SignatureLists(certificates=(windows,)))
    assert check_chain(trust, [loader(shim)]).outcome is Outcome.ACCEPTED


def test_grub_alone_is_refused(secure_boot: SecureBoot, grub: bytes) -> None:
    verdict = check_chain(secure_boot, [loader(grub)])
    assert verdict.outcome is Outcome.REFUSED
    signer = "'Debian Secure Boot Signer 2022 - grub2'"
    assert f"by nobody the firmware trusts: {signer} (certified by {DEBIAN_CA!r})" in verdict.reason


def test_a_loader_of_ones_own_is_refused(secure_boot: SecureBoot, unsigned: bytes, tmp_path: Path) -> None:
    assert "it is not signed" in check_chain(secure_boot, [loader(unsigned)]).reason
    own = sbsign(unsigned, make_pair(tmp_path, "My own key"), tmp_path)
    assert "by nobody the firmware trusts: 'My own key'" in check_chain(secure_boot, [loader(own)]).reason


def test_an_unsigned_second_stage_is_refused(secure_boot: SecureBoot, shim: bytes, unsigned: bytes) -> None:
    verdict = check_chain(secure_boot, [loader(shim), second(unsigned)])
    assert verdict.reason == (
        "Secure Boot is on, and the second-stage loader \\EFI\\BOOT\\grubx64.efi would be refused:"
        " it is not signed."
    )


def test_a_revoked_shim_is_refused(secure_boot: SecureBoot, shim: bytes) -> None:
    dbx = SignatureLists(hashes=frozenset({image_digest(parse_pe(shim))}))
    verdict = check_chain(replace(secure_boot, dbx=dbx), [loader(shim)])
    assert "the firmware forbids this very file (dbx)" in verdict.reason


def test_a_damaged_shim_is_refused(secure_boot: SecureBoot, shim: bytes) -> None:
    damaged = bytearray(shim)
    damaged[len(shim) // 2] ^= 1
    verdict = check_chain(secure_boot, [loader(bytes(damaged))])
    assert "its signature is over other content" in verdict.reason


def test_what_is_built_into_the_shim(shim: bytes, grub: bytes, tmp_path: Path) -> None:
    section = built_in(shim)
    (certificate,) = vendor_allowed(section).certificates
    path = tmp_path / "vendor.der"
    path.write_bytes(certificate)
    assert tool("openssl", "x509", "-inform", "DER", "-in", path, "-noout", "-subject").strip() == (
        f"subject=CN = {DEBIAN_CA}"
    )
    assert len(vendor_forbidden(section).hashes) > 50
    assert not is_shim(grub)


def test_debians_grub_carries_its_generation(secure_boot: SecureBoot, shim: bytes, grub: bytes) -> None:
    section = parse_pe(grub).section(".sbat")
    assert section is not None
    assert too_old(section, parse_level(sbat_level("2025021800", grub=5, shim=4))) is None
    future = parse_level(sbat_level("2099010100", grub=1000))
    verdict = check_chain(replace(secure_boot, sbat_level=future), [loader(shim), second(grub)])
    assert "and the shim asks for 1000 (SBAT)" in verdict.reason
