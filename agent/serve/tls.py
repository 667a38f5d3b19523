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
        raise _unusable(certificate, key, _reason(error, key)) from None
    except OSError as error:
        raise _unusable(certificate, key, f"{os.strerror(error.errno or 0)}.") from None
    return context


def _reason(error: ssl.SSLError, key: Path | None) -> str:
    words = f" ({error.reason})" if error.reason else ""
    if key is None:
        return f"It is not PEM, or has no key in it that fits{words}; a key in another file wants --tls-key."
    return f"They are not PEM, or do not fit{words}."


def _unusable(certificate: Path, key: Path | None, reason: str) -> Refused:
    return Refused(
        "The certificate can not be used.",
        detail=f"{certificate}{f', {key}' if key else ''}: {reason}",
        hint="Give the certificate with its chain, and its key without a password, both as PEM files.",
    )
