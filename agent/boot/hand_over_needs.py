"""What has to be installed here so that a loader can be added to an image: it, and tools to look inside."""

from agent.boot.loader_files import missing_loader_packages
from agent.errors import Refused
from partitioning.command import available
from partitioning.package_manager import how_to_install
from partitioning.packages import packages_of

TOOLS_TO_LOOK = ("grub-fstest", "qemu-storage-daemon", "setpriv")


def require_tools_to_look(because: str) -> None:
    """Raise Refused where the image can not be looked into, with all that will be missing at once.

    ``because`` says why a loader is to be added.
    """
    tools = {tool for tool in TOOLS_TO_LOOK if not available(tool)}
    if tools:
        raise _missing(tools, because)


def require_loaders(because: str) -> None:
    """Raise Refused where the loader that would be added is not there."""
    if missing_loader_packages():
        raise _missing(set(), because)


def _missing(tools: set[str], because: str) -> Refused:
    loaders = missing_loader_packages()
    names = " ".join(sorted(packages_of(tools) | loaders))
    return Refused(
        "What is needed to add a loader to the image is missing here.",
        detail=f"{because} These packages are not installed on this system: {names} (Debian's names).",
        hint=f"Use an image made for UEFI, or {how_to_install(tools, debian_packages=loaders)}",
    )
