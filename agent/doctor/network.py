"""Whether anything beyond the own network can be reached; nothing is sent.

The tables are /proc/net/route (hexadecimal, the destination first, 00000000 for the default route) and
/proc/net/ipv6_route (32 zeros, and 00 for the length of the prefix), as the kernel's fib_trie.c and
ipv6/route.c print them.
"""

from collections.abc import Iterator
from pathlib import Path

from agent.doctor.check import Check, Result

_REJECT = 0x0200  # RTF_REJECT: the kernel's own entry that leads nowhere


def check_network(root: Path = Path("/")) -> Iterator[Check]:
    """Yield whether there is a default route, and a server for names; ``root`` stands for ``/``."""
    links = [*_ipv4(root), *_ipv6(root)]
    if links:
        yield Check(
            name="network", result=Result.OK, found=f"default route over {', '.join(sorted(set(links)))}"
        )
    else:
        found = "there is no default route: only servers of the own network can be reached"
        to_do = "Set the network up, for example: dhclient, or ip route add default via ADDRESS"
        yield Check(name="network", result=Result.WARNING, found=found, to_do=to_do)
    servers = _name_servers(root)
    if servers:
        yield Check(name="name server", result=Result.OK, found=", ".join(servers))
    else:
        found = "none in /etc/resolv.conf: only URLs with addresses in place of names will do"
        to_do = "Add one: echo nameserver ADDRESS >>/etc/resolv.conf"
        yield Check(name="name server", result=Result.WARNING, found=found, to_do=to_do)


def _lines(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text(errors="replace").splitlines()]
    except OSError:
        return []


def _ipv4(root: Path) -> list[str]:
    rows = _lines(root / "proc/net/route")[1:]
    return [row[0] for row in rows if len(row) > 7 and row[1] == row[7] == "00000000"]


def _ipv6(root: Path) -> list[str]:
    rows = _lines(root / "proc/net/ipv6_route")
    default = [row for row in rows if len(row) == 10 and row[0] == "0" * 32 and row[1] == "00"]
    return [row[9] for row in default if not int(row[8], 16) & _REJECT and row[9] != "lo"]


def _name_servers(root: Path) -> list[str]:
    rows = _lines(root / "etc/resolv.conf")
    return [row[1] for row in rows if len(row) > 1 and row[0] == "nameserver"]
