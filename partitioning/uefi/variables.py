"""Variables of UEFI firmware, as efivarfs shows them.

A variable is the file NAME-GUID; its first 4 bytes are the attributes, the data follows (Linux kernel,
Documentation/filesystems/efivarfs.rst).
"""

import os
from pathlib import Path
from uuid import UUID

from partitioning.errors import ExplainedError

EFIVARS = Path("/sys/firmware/efi/efivars")

GLOBAL = UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
"""EFI_GLOBAL_VARIABLE (UEFI specification 2.10, section 3.3): SecureBoot, SetupMode."""
IMAGE_SECURITY = UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
"""EFI_IMAGE_SECURITY_DATABASE_GUID (chapter 32): db, dbx."""
SHIM = UUID("605dab50-e046-4300-abb6-3dd810dd8b23")
"""The shim's own variables (MokVars.txt in its source)."""

_ATTRIBUTES_SIZE = 4
_LARGEST = 1 << 20


class VariableUnreadable(ExplainedError):
    """A variable of the firmware is there, and can not be read."""


def variables_visible(root: Path = EFIVARS) -> bool:
    """Tell whether the firmware's variables can be seen at all: efivarfs is mounted and not empty."""
    try:
        return any(root.iterdir())
    except OSError:
        return False


def is_read_only(root: Path = EFIVARS) -> bool:
    """Tell whether the file system with the variables is mounted so that none can be changed."""
    try:
        return bool(os.statvfs(root).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def read_variable(name: str, vendor: UUID, root: Path = EFIVARS) -> bytes | None:
    """Give a variable's data, None where there is no such variable. Raises VariableUnreadable."""
    path = root / f"{name}-{vendor}"
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(name, f"{path}: {error.strerror}") from error
    if not _ATTRIBUTES_SIZE <= len(content) <= _LARGEST:
        raise _unreadable(name, f"{path} has {len(content)} bytes or more, which no such variable has.")
    return content[_ATTRIBUTES_SIZE:]


def _unreadable(name: str, detail: str) -> VariableUnreadable:
    return VariableUnreadable(
        f"The firmware's variable {name} can not be read.",
        detail=detail,
        hint="Run as root, and see dmesg for what the kernel says about efivars.",
    )
