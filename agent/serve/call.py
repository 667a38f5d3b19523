"""One call as it was sent, as far as who may call is concerned."""

from dataclasses import dataclass
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.requests import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The head of a call."""

    method: str
    target: str
    """Path and query, letter by letter as they were sent."""
    scheme: str
    headers: Headers
    peer: str
    """The address of the other end, which may be a proxy; empty where it can not be told."""

    def only(self, name: str) -> str | None:
        """Give the header ``name``; None where it is missing or there is more than one."""
        values = self.headers.getlist(name)
        return values[0] if len(values) == 1 else None

    @property
    def comes_from_here(self) -> bool:
        """Tell whether it was made on this very server, and not passed on by a proxy on it."""
        passed_on = any(name in self.headers for name in ("forwarded", "via", "x-forwarded-for", "x-real-ip"))
        return is_loopback(self.peer) and not passed_on


def call_of(request: Request) -> Call:
    """Take what matters from the request."""
    scope = request.scope
    query = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    return Call(
        method=scope["method"],
        target=target.decode("latin-1"),
        scheme=scope["scheme"],
        headers=request.headers,
        peer=request.client.host if request.client else "",
    )


def is_loopback(address: str) -> bool:
    """Tell whether an IP address is one of the machine itself; what is no address is none."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
