"""Whether Secure Boot lets a chain of programs start: the loader, what it starts, and the kernel.

The firmware checks the first. A shim then checks what is started after it, against its vendor's certificates,
the machine owner's, and the firmware's, and by SBAT, which the second stage has to carry when the shim knows
it; a kernel need not. Without a shim the firmware checks all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from partitioning.uefi import sbat
from partitioning.uefi.certificate import printable
from partitioning.uefi.image_trust import Outcome, Trust, TrustList, Verdict, accepted, is_signed
from partitioning.uefi.pe_image import PeImage, PeMalformed, parse_pe
from partitioning.uefi.sbat import SbatLevel
from partitioning.uefi.secure_boot import SecureBoot, SecureBootState
from partitioning.uefi.shim import vendor_allowed, vendor_forbidden, vendor_section
from partitioning.uefi.signature_lists import NOTHING

_MOK_UNSEEN = (
    "a key enrolled by the machine's owner (MOK) can not be seen here, as this system was not started by a"
    " shim"
)


class Role(StrEnum):
    """A program's place in the chain, as a message calls it."""

    LOADER = "loader"
    SECOND_STAGE = "second-stage loader"
    KERNEL = "kernel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One program; ``path`` is for messages only."""

    role: Role
    path: str
    data: bytes

    @property
    def name(self) -> str:
        """What a message calls it."""
        return f"the {self.role} {printable(self.path)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageVerdict:
    """What would happen to one stage."""

    stage: Stage
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainVerdict:
    """What would happen to the chain, and to each stage that was looked at, in the order of the chain.

    What comes after a stage that would be refused is not looked at. ``reason`` is one sentence, empty where
    the chain is accepted.
    """

    outcome: Outcome
    reason: str
    stages: tuple[StageVerdict, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shim:
    """What counts for the programs that a shim starts."""

    trust: Trust
    level: SbatLevel | None
    knows_sbat: bool


def check_chain(secure_boot: SecureBoot, stages: Sequence[Stage]) -> ChainVerdict:
    """Tell whether the stages, in the order in which they start each other, would start; nothing is raised.

    A stage that is not known is left out. A refusal is the reason given, else the first thing that can not
    be told.
    """
    if secure_boot.state is SecureBootState.OFF:
        return ChainVerdict(outcome=Outcome.ACCEPTED, reason="")
    if secure_boot.state is SecureBootState.UNKNOWN:
        return ChainVerdict(outcome=Outcome.UNKNOWN, reason=_state_unknown(stages))
    return _summary(_verdicts(secure_boot, stages))


def _state_unknown(stages: Sequence[Stage]) -> str:
    unsigned = next((stage for stage in stages if not _carries_signature(stage.data)), None)
    known = "Whether Secure Boot is on can not be told: the firmware's variables can not be read."
    return f"{known} If it is, {unsigned.name} would be refused: it is not signed." if unsigned else known


def _carries_signature(data: bytes) -> bool:
    try:
        return is_signed(data)
    except PeMalformed:
        return False


def _summary(found: list[StageVerdict]) -> ChainVerdict:
    for outcome, phrase in (
        (Outcome.REFUSED, "{} would be refused"),
        (Outcome.UNKNOWN, "whether {} would be accepted can not be told"),
    ):
        for one in found:
            if one.verdict.outcome is outcome:
                reason = f"Secure Boot is on, and {phrase.format(one.stage.name)}: {one.verdict.reason}."
                return ChainVerdict(outcome=outcome, reason=reason, stages=tuple(found))
    return ChainVerdict(outcome=Outcome.ACCEPTED, reason="", stages=tuple(found))


def _verdicts(secure_boot: SecureBoot, stages: Sequence[Stage]) -> list[StageVerdict]:
    found = []
    shim: _Shim | None = None
    for stage in stages:
        verdict = (
            _checked_by_shim(secure_boot, shim, stage) if shim else _checked_by_firmware(secure_boot, stage)
        )
        found.append(StageVerdict(stage=stage, verdict=verdict))
        # Nothing starts what comes after it, and many signatures cost many runs of openssl.
        if verdict.outcome is Outcome.REFUSED:
            break
        shim = shim or _as_shim(secure_boot, stage)
    return found


def _checked_by_firmware(secure_boot: SecureBoot, stage: Stage) -> Verdict:
    trust = _firmware_trust(secure_boot)
    if trust is None:
        return Verdict(outcome=Outcome.UNKNOWN, reason="the firmware's lists db and dbx can not be read")
    verdict = accepted(stage.data, trust)
    own = _as_shim(secure_boot, stage) if verdict.outcome is Outcome.ACCEPTED else None
    return (own and _too_old(own, parse_pe(stage.data))) or verdict


def _checked_by_shim(secure_boot: SecureBoot, shim: _Shim, stage: Stage) -> Verdict:
    if not secure_boot.shim_verifies:
        return Verdict(outcome=Outcome.ACCEPTED, reason="the owner has switched the shim's checks off")
    verdict = accepted(stage.data, shim.trust)
    # Where the signature leaves the answer open, SBAT may still refuse.
    if verdict.outcome is Outcome.REFUSED or not shim.knows_sbat:
        return verdict
    image = parse_pe(stage.data)
    if stage.role is not Role.KERNEL and image.section(sbat.SECTION) is None:
        return Verdict(outcome=Outcome.REFUSED, reason="it has no section .sbat, which the shim asks for")
    return _too_old(shim, image) or verdict


def _too_old(shim: _Shim, image: PeImage) -> Verdict | None:
    section = image.section(sbat.SECTION)
    found = sbat.too_old(section, shim.level) if section and shim.level else None
    if found is None:
        return None
    name = printable(found.component)
    reason = f"its {name} is of generation {found.generation}, and the shim asks for {found.least} (SBAT)"
    return Verdict(outcome=Outcome.REFUSED, reason=reason)


def _firmware_trust(secure_boot: SecureBoot) -> Trust | None:
    if secure_boot.db is None or secure_boot.dbx is None:
        return None
    return Trust(
        judge="the firmware",
        allowed=(TrustList(owner="the firmware", name="db", lists=secure_boot.db),),
        forbidden=(TrustList(owner="the firmware", name="dbx", lists=secure_boot.dbx),),
    )


def _as_shim(secure_boot: SecureBoot, stage: Stage) -> _Shim | None:
    try:
        image = parse_pe(stage.data)
    except PeMalformed:
        return None
    section = vendor_section(image)
    if section is None:
        return None
    built_in = sbat.built_in_level(image.section(sbat.LEVEL_SECTION) or b"")
    return _Shim(
        trust=_shim_trust(secure_boot, section),
        level=sbat.newest((secure_boot.sbat_level, built_in)),
        knows_sbat=image.section(sbat.SECTION) is not None,
    )


def _shim_trust(secure_boot: SecureBoot, section: bytes) -> Trust:
    owner = "the machine's owner"
    return Trust(
        judge="the shim or the firmware",
        allowed=(
            TrustList(owner="the shim", name="vendor certificate", lists=vendor_allowed(section)),
            TrustList(owner="the firmware", name="db", lists=secure_boot.db or NOTHING),
            TrustList(owner=owner, name="MOK", lists=secure_boot.mok or NOTHING),
        ),
        forbidden=(
            TrustList(owner="the firmware", name="dbx", lists=secure_boot.dbx or NOTHING),
            TrustList(owner="the shim", name="vendor dbx", lists=vendor_forbidden(section)),
            TrustList(owner=owner, name="MOKX", lists=secure_boot.mok_forbidden or NOTHING),
        ),
        unseen=_MOK_UNSEEN if secure_boot.mok is None else "",
    )
