"""A file with certificates, which the download's server is checked against."""

import ssl
import stat
from pathlib import Path


def ca_file_fault(path: Path) -> str | None:
    """Tell why the file at ``path`` is of no use; None where it is."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "it is no regular file, and it has to be read more than once"
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "it holds no certificate in PEM form"
    except OSError as error:
        return error.strerror or type(error).__name__
    return None
