"""Secure Boot on this server: whether it is on, whom the firmware trusts, and what it forbids."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from partitioning.uefi.sbat import SbatLevel, parse_level
from partitioning.uefi.signature_lists import NOTHING, SignatureLists, parse_signature_lists
from partitioning.uefi.variables import (
    EFIVARS,
    GLOBAL,
    IMAGE_SECURITY,
    SHIM,
    VariableUnreadable,
    read_variable,
    variables_visible,
)

_YES = b"\x01"
_NO = b"\x00"


class SecureBootState(StrEnum):
    """Whether the firmware checks what it starts."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureBoot:
    """What the firmware says, and what the shim that started this system adds.

    ``db`` and ``dbx`` are None where they can not be read. ``mok`` and ``mok_forbidden`` are the machine
    owner's lists, None where they can not be read either, or no shim shows them: only one that started this
    system does (MokVars.txt in its source), and it adds what is built into it. ``shim_verifies`` is False
    where the owner has switched a shim's checks off. ``sbat_level`` is None where no shim shows one.
    """

    state: SecureBootState
    db: SignatureLists | None = None
    dbx: SignatureLists | None = None
    mok: SignatureLists | None = None
    mok_forbidden: SignatureLists | None = None
    shim_verifies: bool = True
    sbat_level: SbatLevel | None = None


def read_secure_boot(root: Path = EFIVARS) -> SecureBoot:
    """Read the state and the lists below ``root``, where efivarfs is mounted; nothing is raised.

    Firmware that shows other variables and has no SecureBoot is older than Secure Boot.
    """
    if not variables_visible(root):
        return SecureBoot(state=SecureBootState.UNKNOWN)
    level = _data("SbatLevelRT", SHIM, root)
    return SecureBoot(
        state=_state(root),
        db=_lists("db", IMAGE_SECURITY, root, missing=NOTHING),
        dbx=_lists("dbx", IMAGE_SECURITY, root, missing=NOTHING),
        mok=_lists("MokListRT", SHIM, root, missing=None),
        mok_forbidden=_lists("MokListXRT", SHIM, root, missing=None),
        shim_verifies=_flag("MokSBStateRT", SHIM, root) is not True,
        sbat_level=parse_level(level) if level else None,
    )


def _state(root: Path) -> SecureBootState:
    try:
        value = read_variable("SecureBoot", GLOBAL, root)
    except VariableUnreadable:
        return SecureBootState.UNKNOWN
    states = {_YES: SecureBootState.ON, _NO: SecureBootState.OFF, None: SecureBootState.OFF}
    return states.get(value, SecureBootState.UNKNOWN)


def _flag(name: str, vendor: UUID, root: Path) -> bool | None:
    return {_YES: True, _NO: False}.get(_data(name, vendor, root))


def _data(name: str, vendor: UUID, root: Path) -> bytes:
    try:
        return read_variable(name, vendor, root) or b""
    except VariableUnreadable:
        return b""


def _lists(name: str, vendor: UUID, root: Path, *, missing: SignatureLists | None) -> SignatureLists | None:
    try:
        data = read_variable(name, vendor, root)
    except VariableUnreadable:
        return None
    return missing if data is None else parse_signature_lists(data)
