"""Whether an EFI program would be started by somebody who trusts some and forbids others.

UEFI specification 2.10, section 32.5.3 (authorization of images): what is forbidden, by the program's sum or
by a certificate that one of its signatures leads to, is refused whatever else allows it. Of the rest a
program may run whose sum is allowed, or one of whose signatures leads to an allowed certificate. A shim has
the same rules with more lists.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from partitioning.command import CommandError
from partitioning.packages import package_of
from partitioning.uefi.authenticode import Signature, image_digest, parse_signature, signature_blobs
from partitioning.uefi.certificate import subject_of
from partitioning.uefi.der import SignatureMalformed
from partitioning.uefi.pe_image import PeMalformed, parse_pe
from partitioning.uefi.signature_lists import SignatureLists
from partitioning.uefi.signer_check import TOOL, can_check, signed_under


class Outcome(StrEnum):
    """What would happen."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustList:
    """Lists with a name: whose they are (``the firmware``), and which (``dbx``)."""

    owner: str
    name: str
    lists: SignatureLists


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom somebody trusts, and what he forbids. ``judge`` is how a message calls him.

    ``unseen`` is a clause about certificates that he may trust as well and that can not be seen here, empty
    where all are known.
    """

    judge: str
    allowed: tuple[TrustList, ...]
    forbidden: tuple[TrustList, ...]
    unseen: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What would happen, and why: a clause about the program, without a full stop (``it is not signed``)."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    """``signatures`` are those over the program as it is; ``stale`` counts those over other content."""

    digest: bytes
    signatures: tuple[Signature, ...]
    stale: int
    unreadable: str | None


def is_signed(data: bytes) -> bool:
    """Tell whether the program carries a signature, whoever made it. Raises PeMalformed."""
    return bool(signature_blobs(parse_pe(data)))


def accepted(data: bytes, trust: Trust) -> Verdict:
    """Tell whether ``trust`` lets a program run; nothing is raised.

    The outcome is UNKNOWN where a signature can not be read, where openssl is missing or fails, and where
    the program is signed by nobody who is known to be trusted, while others may be.
    """
    try:
        program = _read(data)
    except PeMalformed as error:
        return _refused(f"it is not a valid EFI program ({error.detail.rstrip('.')})")
    try:
        return _judge(program, trust)
    except CommandError as error:
        return _unknown(f"its signature can not be checked here ({error.detail.rstrip('.')})")


def _read(data: bytes) -> _Program:
    image = parse_pe(data)
    digest = image_digest(image)
    signatures = []
    stale, unreadable = 0, None
    for blob in signature_blobs(image):
        try:
            signature = parse_signature(blob)
        except SignatureMalformed as error:
            unreadable = error.detail.rstrip(".")
            continue
        if signature.digest is None:
            unreadable = "it is over another sum than SHA-256"
        elif signature.digest == digest:
            signatures.append(signature)
        else:
            stale += 1
    return _Program(digest=digest, signatures=tuple(signatures), stale=stale, unreadable=unreadable)


def _judge(program: _Program, trust: Trust) -> Verdict:
    for found in _named(program, trust.forbidden):
        return _refused(f"{found.owner} forbids this very file ({found.name})")
    if not program.signatures:
        return _without_signature(program, trust)
    if not can_check():
        return _unknown(
            f"it is signed, but the tool {TOOL} (package {package_of(TOOL)}), which finds out by whom, is"
            " missing"
        )
    for found, certificate in _leading_to(program, trust.forbidden, _forbidden_by):
        return _refused(f"{found.owner} forbids all that is signed under {certificate!r} ({found.name})")
    for found in _named(program, trust.allowed):
        return _accepted(f"{found.owner} allows this very file ({found.name})")
    for found, certificate in _leading_to(program, trust.allowed, _allowed_by):
        return _accepted(f"it is signed under {certificate!r}, which {found.owner} trusts ({found.name})")
    if program.unreadable:
        return _unknown(f"one of its signatures can not be read here ({program.unreadable})")
    return _by_nobody_trusted(program, trust)


def _by_nobody_trusted(program: _Program, trust: Trust) -> Verdict:
    signers = " and ".join(f"{one.signer!r} (certified by {one.issuer!r})" for one in program.signatures)
    if trust.unseen:
        return _unknown(f"it is signed, but by nobody who is known to be trusted: {signers}; {trust.unseen}")
    return _refused(f"it is signed, but by nobody {trust.judge} trusts: {signers}")


def _without_signature(program: _Program, trust: Trust) -> Verdict:
    for found in _named(program, trust.allowed):
        return _accepted(f"{found.owner} allows this very file ({found.name})")
    if program.unreadable:
        return _unknown(f"its signature can not be read here ({program.unreadable})")
    if program.stale:
        return _refused("its signature is over other content: the file was changed or is damaged")
    return _refused("it is not signed")


def _named(program: _Program, lists: tuple[TrustList, ...]) -> Iterator[TrustList]:
    return (one for one in lists if program.digest in one.lists.hashes)


def _leading_to(
    program: _Program,
    lists: tuple[TrustList, ...],
    match: Callable[[Signature, SignatureLists], str | None],
) -> Iterator[tuple[TrustList, str]]:
    for one in lists:
        for signature in program.signatures:
            certificate = match(signature, one.lists)
            if certificate is not None:
                yield one, certificate


def _allowed_by(signature: Signature, lists: SignatureLists) -> str | None:
    found = (one for one in lists.certificates if signed_under(signature, one))
    return next((subject_of(one) for one in found), None)


def _forbidden_by(signature: Signature, lists: SignatureLists) -> str | None:
    for one in signature.certificates:
        if one.signed_part_sha256 in lists.certificate_hashes:
            return one.subject
    return _allowed_by(signature, lists)


def _accepted(reason: str) -> Verdict:
    return Verdict(outcome=Outcome.ACCEPTED, reason=reason)


def _refused(reason: str) -> Verdict:
    return Verdict(outcome=Outcome.REFUSED, reason=reason)


def _unknown(reason: str) -> Verdict:
    return Verdict(outcome=Outcome.UNKNOWN, reason=reason)
