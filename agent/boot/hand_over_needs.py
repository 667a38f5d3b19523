"""What has to be installed here so that a loader can be added to an image: it, and tools to look inside."""

from agent.boot.loader_files import missing_loader_packages
from agent.errors import Refused
from partitioning.command import available
from partitioning.packages import PACKAGES

_TOOLS = ("grub-fstest", "qemu-storage-daemon", "setpriv")


def require_tools_to_look(because: str) -> None:
    """Raise Refused where the image can not be looked into, with all that will be missing at once.

    ``because`` says why a loader is to be added.
    """
    tools = {PACKAGES[tool] for tool in _TOOLS if not available(tool)}
    if tools:
        raise _missing(tools | missing_loader_packages(), because)


def require_loaders(because: str) -> None:
    """Raise Refused where the loader that would be added is not there."""
    if packages := missing_loader_packages():
        raise _missing(packages, because)


def _missing(packages: set[str], because: str) -> Refused:
    names = " ".join(sorted(packages))
    return Refused(
        "What is needed to add a loader to the image is missing here.",
        detail=f"{because} These packages are not installed on this system: {names} (Debian's names).",
        hint=f"Install them on the rescue system (apt install {names}), or use an image made for UEFI.",
    )
