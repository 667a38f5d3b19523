"""Chains of programs made by hand, signed by sbsign with keys made by openssl."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from partitioning.uefi.boot_chain import ChainVerdict, Role, Stage, check_chain
from partitioning.uefi.image_trust import Outcome
from partitioning.uefi.pe_image import parse_pe
from partitioning.uefi.sbat import parse_level
from partitioning.uefi.secure_boot import SecureBoot, SecureBootState
from partitioning.uefi.signature_lists import NOTHING, SignatureLists
from tests.efi_programs import (
    Pair,
    efi_program,
    make_pair,
    sbat_level,
    sbat_level_section,
    sbat_section,
    sbsign,
    vendor_section,
)

LOADER_PATH = "\\EFI\\BOOT\\BOOTX64.EFI"
GRUB = efi_program({".sbat": sbat_section(grub=5)})
KERNEL = efi_program({".setup": b"Linux"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    directory: Path
    firmware: Pair
    vendor: Pair
    owner: Pair

    def sign(self, program: bytes, pair: Pair) -> bytes:
        return sbsign(program, pair, self.directory)

    def shim(
        self, *, sbat: bytes = sbat_section(shim=4), level: bytes = b"", forbidden: bytes = b""
    ) -> bytes:
        sections = {".vendor_cert": vendor_section(self.vendor.der, forbidden)}
        sections |= {".sbat": sbat} if sbat else {}
        sections |= {".sbatlevel": sbat_level_section(level, level)} if level else {}
        return self.sign(efi_program(sections), self.firmware)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    directory = tmp_path_factory.mktemp("keys")
    firmware, vendor, owner = (make_pair(directory, name) for name in ("Firmware CA", "Vendor", "Owner"))
    return Keys(directory=directory, firmware=firmware, vendor=vendor, owner=owner)


@pytest.fixture(scope="module")
def secure_boot(keys: Keys) -> SecureBoot:
    db = SignatureLists(certificates=(keys.firmware.der,))
    return SecureBoot(state=SecureBootState.ON, db=db, dbx=NOTHING, mok=NOTHING, mok_forbidden=NOTHING)


@pytest.fixture(scope="module")
def grub(keys: Keys) -> bytes:
    return keys.sign(GRUB, keys.vendor)


@pytest.fixture(scope="module")
def kernel(keys: Keys) -> bytes:
    return keys.sign(KERNEL, keys.vendor)


def chain(secure_boot: SecureBoot, loader: bytes, second: bytes = b"", kernel: bytes = b"") -> ChainVerdict:
    stages = [
        Stage(role=Role.LOADER, path=LOADER_PATH, data=loader),
        Stage(role=Role.SECOND_STAGE, path="\\EFI\\BOOT\\grubx64.efi", data=second),
        Stage(role=Role.KERNEL, path="/boot/vmlinuz", data=kernel),
    ]
    return check_chain(secure_boot, [stage for stage in stages if stage.data])


def test_a_shim_with_what_its_vendor_signed(
    keys: Keys, secure_boot: SecureBoot, grub: bytes, kernel: bytes
) -> None:
    verdict = chain(secure_boot, keys.shim(), grub, kernel)
    assert (verdict.outcome, verdict.reason) == (Outcome.ACCEPTED, "")
    assert [one.verdict.reason for one in verdict.stages] == [
        "it is signed under 'Firmware CA', which the firmware trusts (db)",
        "it is signed under 'Vendor', which the shim trusts (vendor certificate)",
        "it is signed under 'Vendor', which the shim trusts (vendor certificate)",
    ]


def test_a_loader_that_is_not_signed(secure_boot: SecureBoot) -> None:
    verdict = chain(secure_boot, GRUB)
    reason = f"Secure Boot is on, and the loader {LOADER_PATH} would be refused: it is not signed."
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUSED, reason)


def test_what_the_vendor_signed_does_not_start_without_the_shim(
    secure_boot: SecureBoot, grub: bytes, kernel: bytes
) -> None:
    verdict = chain(secure_boot, grub, b"", kernel)
    assert [one.verdict.outcome for one in verdict.stages] == [Outcome.REFUSED]
    assert "the loader" in verdict.reason
    assert "by nobody the firmware trusts: 'Vendor'" in verdict.reason


def test_what_comes_after_the_first_refusal_is_not_looked_at(keys: Keys, secure_boot: SecureBoot) -> None:
    verdict = chain(secure_boot, keys.shim(), GRUB, KERNEL)
    assert [one.verdict.outcome for one in verdict.stages] == [Outcome.ACCEPTED, Outcome.REFUSED]
    assert verdict.reason == (
        "Secure Boot is on, and the second-stage loader \\EFI\\BOOT\\grubx64.efi would be refused:"
        " it is not signed."
    )


def test_a_kernel_of_ones_own_needs_a_key_of_the_owner(
    keys: Keys, secure_boot: SecureBoot, grub: bytes
) -> None:
    own = keys.sign(KERNEL, keys.owner)
    verdict = chain(secure_boot, keys.shim(), grub, own)
    assert "the kernel /boot/vmlinuz would be refused" in verdict.reason
    assert "by nobody the shim or the firmware trusts: 'Owner'" in verdict.reason
    mok = SignatureLists(certificates=(keys.owner.der,))
    assert chain(replace(secure_boot, mok=mok), keys.shim(), grub, own).outcome is Outcome.ACCEPTED
    # The firmware itself does not know the owner's keys.
    assert chain(replace(secure_boot, mok=mok), own).outcome is Outcome.REFUSED


def test_what_only_an_owners_key_could_allow_is_not_known_where_no_such_key_can_be_seen(
    keys: Keys, secure_boot: SecureBoot, grub: bytes, kernel: bytes
) -> None:
    unseen = replace(secure_boot, mok=None, mok_forbidden=None)
    verdict = chain(unseen, keys.shim(), grub, keys.sign(KERNEL, keys.owner))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reason == (
        "Secure Boot is on, and whether the kernel /boot/vmlinuz would be accepted can not be told: it is"
        " signed, but by nobody who is known to be trusted: 'Owner' (certified by 'Owner'); a key enrolled by"
        " the machine's owner (MOK) can not be seen here, as this system was not started by a shim."
    )
    assert chain(unseen, keys.shim(), grub, kernel).outcome is Outcome.ACCEPTED


def test_what_no_key_of_the_owner_could_allow_is_refused_where_none_can_be_seen(
    keys: Keys, secure_boot: SecureBoot
) -> None:
    unseen = replace(secure_boot, mok=None, mok_forbidden=None)
    own = keys.sign(GRUB, keys.owner)
    changed = bytearray(own)
    changed[parse_pe(own).sections[0].offset] ^= 1
    assert "it is not signed" in chain(unseen, keys.shim(), GRUB).reason
    assert "it is signed, but by nobody the firmware trusts: 'Owner'" in chain(unseen, own).reason
    assert "over other content" in chain(unseen, keys.shim(), bytes(changed)).reason
    dbx = SignatureLists(certificates=(keys.owner.der,))
    assert "firmware forbids all" in chain(replace(unseen, dbx=dbx), keys.shim(), own).reason
    level = parse_level(sbat_level("2025021800", grub=6))
    assert "its grub is of generation 5" in chain(replace(unseen, sbat_level=level), keys.shim(), own).reason
    kernel = keys.sign(KERNEL, keys.owner)
    assert "it has no section .sbat" in chain(unseen, keys.shim(), kernel).reason


def test_what_the_firmware_trusts_starts_behind_a_shim_too(keys: Keys, secure_boot: SecureBoot) -> None:
    second = keys.sign(GRUB, keys.firmware)
    assert chain(secure_boot, keys.shim(), second).outcome is Outcome.ACCEPTED


def test_dbx_counts_behind_a_shim_too(
    keys: Keys, secure_boot: SecureBoot, grub: bytes, kernel: bytes
) -> None:
    dbx = SignatureLists(certificates=(keys.vendor.der,))
    verdict = chain(replace(secure_boot, dbx=dbx), keys.shim(), grub, kernel)
    assert "the firmware forbids all that is signed under 'Vendor' (dbx)" in verdict.reason


def test_what_the_shims_vendor_forbids(keys: Keys, secure_boot: SecureBoot, grub: bytes) -> None:
    verdict = chain(secure_boot, keys.shim(forbidden=keys.vendor.der), grub)
    assert "the shim forbids all that is signed under 'Vendor' (vendor dbx)" in verdict.reason


def test_what_the_owner_forbids(keys: Keys, secure_boot: SecureBoot, grub: bytes) -> None:
    forbidden = SignatureLists(certificates=(keys.vendor.der,))
    verdict = chain(replace(secure_boot, mok_forbidden=forbidden), keys.shim(), grub)
    assert "the machine's owner forbids" in verdict.reason


def test_a_shim_whose_checks_are_off_starts_anything(keys: Keys, secure_boot: SecureBoot) -> None:
    off = replace(secure_boot, shim_verifies=False)
    assert chain(off, keys.shim(), GRUB, KERNEL).outcome is Outcome.ACCEPTED
    assert chain(off, GRUB).outcome is Outcome.REFUSED


def test_a_second_stage_that_is_too_old_for_the_firmwares_level(
    keys: Keys, secure_boot: SecureBoot, grub: bytes
) -> None:
    level = parse_level(sbat_level("2025021800", shim=4, grub=6))
    verdict = chain(replace(secure_boot, sbat_level=level), keys.shim(), grub)
    assert verdict.outcome is Outcome.REFUSED
    assert verdict.reason.endswith(": its grub is of generation 5, and the shim asks for 6 (SBAT).")


def test_a_shim_brings_a_level_of_its_own(keys: Keys, secure_boot: SecureBoot, grub: bytes) -> None:
    shim = keys.shim(level=sbat_level("2026010100", grub=6))
    assert "its grub is of generation 5" in chain(secure_boot, shim, grub).reason
    newer = replace(secure_boot, sbat_level=parse_level(sbat_level("2026020100", grub=5)))
    assert chain(newer, shim, grub).outcome is Outcome.ACCEPTED


def test_a_shim_that_is_too_old_refuses_itself(keys: Keys, secure_boot: SecureBoot) -> None:
    level = parse_level(sbat_level("2026010100", shim=5))
    verdict = chain(replace(secure_boot, sbat_level=level), keys.shim())
    assert "its shim is of generation 4, and the shim asks for 5" in verdict.reason


def test_a_second_stage_needs_sbat_where_the_shim_knows_it_and_a_kernel_does_not(
    keys: Keys, secure_boot: SecureBoot, grub: bytes, kernel: bytes
) -> None:
    assert "it has no section .sbat" in chain(secure_boot, keys.shim(), kernel).reason
    assert chain(secure_boot, keys.shim(sbat=b""), kernel).outcome is Outcome.ACCEPTED
    assert chain(secure_boot, keys.shim(), grub, kernel).outcome is Outcome.ACCEPTED


def test_nothing_is_checked_where_secure_boot_is_off() -> None:
    verdict = chain(SecureBoot(state=SecureBootState.OFF), b"junk", GRUB)
    assert verdict == ChainVerdict(outcome=Outcome.ACCEPTED, reason="")


def test_where_the_state_is_not_known_the_answer_is_open(grub: bytes) -> None:
    unknown = SecureBoot(state=SecureBootState.UNKNOWN)
    verdict = chain(unknown, grub, KERNEL)
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reason == (
        "Whether Secure Boot is on can not be told: the firmware's variables can not be read."
        " If it is, the second-stage loader \\EFI\\BOOT\\grubx64.efi would be refused: it is not signed."
    )
    assert chain(unknown, grub).reason.endswith("variables can not be read.")


def test_where_the_lists_can_not_be_read_the_answer_is_open(keys: Keys, secure_boot: SecureBoot) -> None:
    verdict = chain(replace(secure_boot, dbx=None), keys.shim())
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reason == (
        f"Secure Boot is on, and whether the loader {LOADER_PATH} would be accepted can not be told:"
        " the firmware's lists db and dbx can not be read."
    )


def test_a_path_can_not_write_on_the_terminal(secure_boot: SecureBoot) -> None:
    stage = Stage(role=Role.LOADER, path="\x1b[2J\n" + "x" * 500, data=GRUB)
    reason = check_chain(secure_boot, [stage]).reason
    assert reason.isprintable()
    assert len(reason) < 250


def test_what_is_no_program_is_refused(secure_boot: SecureBoot) -> None:
    assert "is not a valid EFI program" in chain(secure_boot, b"\x7fELF").reason
