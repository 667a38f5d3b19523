"""The addresses that this server is reached at."""

import json
import logging
from ipaddress import ip_address

from partitioning.command import CommandError, available, run

log = logging.getLogger(__name__)

_SHOW = ("ip", "-json", "address", "show", "up", "scope", "global")
_TIMEOUT = 10.0


def own_addresses() -> list[str]:
    """Give the global addresses, IPv4 first; none where they can not be told."""
    if not available("ip"):
        return []
    try:
        links = json.loads(run(_SHOW, timeout=_TIMEOUT).stdout)
        found = [
            ip_address(info["local"])
            for link in links
            for info in link.get("addr_info", ())
            if "local" in info
        ]
    except (CommandError, ValueError, TypeError, AttributeError) as error:
        log.info("the addresses of this server can not be told: %s", type(error).__name__)
        return []
    return [str(address) for address in sorted(found, key=lambda each: (each.version, each))]
