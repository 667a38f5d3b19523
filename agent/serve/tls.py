"""TLS with the operator's own certificate."""

import os
import ssl
from pathlib import Path

from agent.errors import Refused


def server_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Load a certificate with its chain, and its key (None: in the same file). Raises Refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A key that wants a password is refused, and not asked for on a terminal that nobody looks at.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except ssl.SSLError as error:
        raise _unusable(certificate, key, f"They are not PEM, or do not fit ({error.reason}).") from None
    except OSError as error:
        raise _unusable(certificate, key, f"{os.strerror(error.errno or 0)}.") from None
    return context


def _unusable(certificate: Path, key: Path | None, reason: str) -> Refused:
    return Refused(
        "The certificate can not be used.",
        detail=f"{certificate}, {key or certificate}: {reason}",
        hint="Give the certificate with its chain, and its key without a password, both as PEM files.",
    )
