"""The reboot into the deployed system."""

from agent.errors import Refused
from partitioning.command import CommandError, available, run

_TIMEOUT = 60.0
_WAYS = (("systemctl", "reboot"), ("reboot",), ("busybox", "reboot"))

TOOLS = tuple(way[0] for way in _WAYS)
"""Any one of them will do."""


def reboot() -> None:
    """Let the server reboot; raises Refused, with what to do by hand, when nothing here can."""
    said = []
    for argv in _WAYS:
        if not available(argv[0]):
            continue
        try:
            run(argv, timeout=_TIMEOUT)
        except CommandError as error:
            said.append(error.detail)
        else:
            return
    raise Refused(
        "The image is deployed, but this system could not be rebooted.",
        detail=" ".join(said) or "Neither systemctl nor reboot is installed.",
        hint="Reboot the server by hand.",
    )
