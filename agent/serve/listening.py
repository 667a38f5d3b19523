"""Where the server listens."""

import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent.errors import Refused, RequestError
from agent.serve.call import is_loopback

_BACKLOG = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An IP address and a port; port 0 takes a free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Tell whether only programs on this machine reach it."""
        return is_loopback(self.host)

    def url(self, scheme: str) -> str:
        """Give it as the beginning of a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Take HOST:PORT; a name is looked up. Raises RequestError."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.path or parts.username is not None:
        raise _wrong("It takes an address and a port, such as 127.0.0.1:8080 or [::1]:8080.")
    return Address(host=_looked_up(host), port=port)


def listen(address: Address) -> socket.socket:
    """Begin to listen. Raises Refused."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "There is no such port"
        raise Refused(
            "The server can not listen there.",
            detail=f"{address.host} port {address.port}: {reason}.",
            hint="Name another address of this system, or another port, with --listen.",
        ) from None


def _looked_up(host: str) -> str:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _wrong("No address is known for the name in it.") from None
    # localhost is both; what it is usually called by is IPv4.
    addresses = [str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0])]
    return addresses[0]


def _wrong(detail: str) -> RequestError:
    return RequestError(
        "The command line of byoi-agent serve is wrong.",
        detail=f"--listen: {detail}",
        hint="Look at: byoi-agent serve --help",
    )
