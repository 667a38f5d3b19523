"""What tells this server from others: what its firmware says of it. One medium may start many servers."""

import re
from pathlib import Path
from urllib.parse import quote

_FIRMWARE = Path("/sys/class/dmi/id")
_FILES = {"serial": "product_serial", "uuid": "product_uuid"}
IDENTITIES = tuple(_FILES)
"""The names that can stand in a URL, in curly brackets."""

_PLACEHOLDER = re.compile(r"{(\w*)}")
# What vendors leave there on all of their boards, in lower case. Two servers of one name could be mixed up.
_SAYS_NOTHING = re.compile(
    r"[\W_0fx]*"
    r"|(chassis|system|product)?[ -]?(serial|serialnumb|serial number|uuid)"
    r"|0?123456789[0-9a-f]*|(.)\2*"
    r"|default.*|empty|invalid|n/?a|none|not .*|null|o\.?e\.?m\.?|to be filled.*|unknown|unspecified"
    r"|0[03]0[02]0[02][03]0-0[04]00-0[05]00-0006-000700080009"
    r"|12345678-1234-5678-90ab-cddeefaabbcc"
)


def filled(text: str, firmware: Path = _FIRMWARE) -> tuple[str, list[str]]:
    """Put the serial number and the UUID (SMBIOS, type 1) in place of {serial} and {uuid} in a URL.

    Give the text, and the names of what the firmware does not say, or what is no name; that is left as it is.
    """
    unknown = []

    def fill(found: re.Match[str]) -> str:
        value = _said(firmware / _FILES[found[1]]) if found[1] in _FILES else None
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
    return None if _SAYS_NOTHING.fullmatch(value.lower()) else value
