"""A file with certificates, which the download's server is checked against."""

import ssl
from pathlib import Path


def ca_file_fault(path: Path) -> str | None:
    """Tell why the file at ``path`` is of no use; None where it is."""
    if path.exists() and not path.is_file():
        return "it is no regular file, and it has to be read more than once"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "it holds no certificate in PEM form"
    except OSError as error:
        return error.strerror or type(error).__name__
    return None
