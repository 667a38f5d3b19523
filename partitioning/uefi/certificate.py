"""X.509 certificates, as far as a message about them and a list of forbidden ones need (RFC 5280, 4.1)."""

import hashlib
from dataclasses import dataclass

from partitioning.uefi.der import (
    CONTEXT_0,
    INTEGER,
    SEQUENCE,
    Element,
    SignatureMalformed,
    at_least,
    expect,
    read_element,
)

_COMMON_NAME = b"\x55\x04\x03"
_ORGANIZATION = b"\x55\x04\x0a"
_CODECS = {0x0C: "utf-8", 0x1E: "utf-16-be"}
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate's fields; ``issuer`` and ``serial`` are DER and together name it for its issuer."""

    subject: str
    issuer: bytes
    serial: bytes
    signed_part_sha256: bytes
    raw: bytes


def parse_certificate(data: bytes) -> Certificate:
    """Read a certificate in DER. Raises SignatureMalformed."""
    whole = expect(read_element(data), SEQUENCE)
    signed_part = expect(at_least(whole.children(), 3)[0], SEQUENCE)
    fields = at_least(signed_part.children(), 6)
    if fields[0].tag == CONTEXT_0:
        fields = at_least(fields[1:], 6)
    serial, _, issuer, _, subject, *_ = fields
    return Certificate(
        subject=readable_name(subject),
        issuer=expect(issuer, SEQUENCE).raw,
        serial=expect(serial, INTEGER).raw,
        signed_part_sha256=hashlib.sha256(signed_part.raw).digest(),
        raw=whole.raw,
    )


def subject_of(data: bytes) -> str:
    """Give the name in a certificate in DER, for a message."""
    try:
        return parse_certificate(data).subject
    except SignatureMalformed:
        return "an unreadable certificate"


def readable_name(name: Element) -> str:
    """Give the common name, else the organization, of a distinguished name. Raises SignatureMalformed."""
    parts = {}
    for group in expect(name, SEQUENCE).children():
        for pair in group.children():
            kind, value, *_ = at_least(pair.children(), 2)
            parts[kind.content] = printable(
                value.content.decode(_CODECS.get(value.tag, "latin-1"), "replace")
            )
    return parts.get(_COMMON_NAME) or parts.get(_ORGANIZATION) or "somebody without a name"


def printable(text: str) -> str:
    """Make text that somebody else wrote fit for a message: one line, no control characters, not long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[: _LONGEST_NAME + 1])
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…"
