"""A file with certificates, which the download's server is checked against."""

import ssl
from pathlib import Path


def ca_file_fault(path: Path) -> str | None:
    """Tell why the file at ``path`` is of no use; None where it is."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        return error.strerror or "it holds no certificate in PEM form"
    return None
