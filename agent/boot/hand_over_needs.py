"""What has to be installed here so that a loader can be added to an image: it, and tools to look inside."""

from agent.boot.loader_files import missing_loader_packages
from agent.errors import Refused
from partitioning.command import available
from partitioning.packages import PACKAGES

_TOOLS = ("grub-fstest", "qemu-storage-daemon", "setpriv")


def require_hand_over_needs(because: str) -> None:
    """Raise Refused, with all that is missing at once; ``because`` says why a loader is to be added."""
    missing = {PACKAGES[tool] for tool in _TOOLS if not available(tool)} | missing_loader_packages()
    if missing:
        names = " ".join(sorted(missing))
        raise Refused(
            "What is needed to add a loader to the image is missing here.",
            detail=f"{because} These packages are not installed on this system: {names} (Debian's names).",
            hint=f"Install them on the rescue system (apt install {names}), or use an image made for UEFI.",
        )
