"""What tells this server from others: what its firmware says of it. One medium may start many servers."""

import re
from pathlib import Path
from urllib.parse import quote

_FIRMWARE = Path("/sys/class/dmi/id")
_FILES = {"serial": "product_serial", "uuid": "product_uuid"}
_PLACEHOLDER = re.compile("{(" + "|".join(_FILES) + ")}")
_SAYS_NOTHING = ("", "0", "default string", "none", "not specified", "system serial number")


def filled(text: str, firmware: Path = _FIRMWARE) -> tuple[str, list[str]]:
    """Put the serial number and the UUID (SMBIOS, type 1) in place of {serial} and {uuid} in a URL.

    Give the text, and the names of what the firmware does not say; that is left as it is.
    """
    unknown = []

    def fill(found: re.Match[str]) -> str:
        value = _said(firmware / _FILES[found[1]])
        if value is None:
            unknown.append(found[1])
            return found[0]
        return quote(value, safe="")

    return _PLACEHOLDER.sub(fill, text), unknown


def _said(path: Path) -> str | None:
    try:
        value = path.read_text(errors="replace").strip()
    except OSError:  # not there, or for root only
        return None
    vague = value.lower() in _SAYS_NOTHING or value.lower().startswith("to be filled")
    return None if vague else value
