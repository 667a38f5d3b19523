"""How a call is signed: OVHcloud's scheme, as its official clients carry it out.

Source: https://help.ovhcloud.com, "First steps with the OVHcloud APIs"; the client is ``ovh`` on PyPI.
"""

import hashlib
import hmac
import re

from agent.serve.credentials import Keys

_TIMESTAMP = re.compile(r"[0-9]{1,11}")


def signature(keys: Keys, *, method: str, url: str, body: bytes, timestamp: str) -> str:
    """Sign a call: ``url`` is the whole of it, with the query, and ``body`` as it is sent."""
    parts = (keys.application_secret, keys.consumer_key, method, url)
    before, after = "+".join(parts).encode(errors="surrogateescape"), timestamp.encode()
    # SHA-1 is what the scheme has; nothing here depends on collisions being hard.
    return "$1$" + hashlib.sha1(b"+".join((before, body, after)), usedforsecurity=False).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two texts in a time that tells nothing of where they differ."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def parse_timestamp(text: str) -> int | None:
    """Give the seconds since 1970 that a header names; None where it is no such number.

    Digits only: the hash can be extended by whoever has seen one, and what was added must not pass for part
    of a number.
    """
    return int(text) if _TIMESTAMP.fullmatch(text) else None
