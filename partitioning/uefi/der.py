"""Reading DER, as far as certificates and signatures need it (ITU-T X.690, clauses 8.1 and 10.1).

What is read may be hostile: an element has to lie within what holds it, and only definite lengths are known.
"""

from dataclasses import dataclass

from partitioning.errors import ExplainedError

INTEGER = 0x02
OCTET_STRING = 0x04
OBJECT_ID = 0x06
SEQUENCE = 0x30
SET = 0x31
CONTEXT_0 = 0xA0

_LONG_TAG = 0x1F
_LONG_FORM = 0x80
_MOST_LENGTH_BYTES = 4


class SignatureMalformed(ExplainedError):
    """A signature or a certificate is not what its format asks for."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its identifier byte, what it holds, and all of its bytes."""

    tag: int
    content: bytes
    raw: bytes

    def children(self) -> list["Element"]:
        """Give the elements that it consists of. Raises SignatureMalformed."""
        found = []
        at = 0
        while at < len(self.content):
            element = read_element(self.content, at)
            found.append(element)
            at += len(element.raw)
        return found


def read_element(data: bytes, at: int = 0) -> Element:
    """Read the element at ``at``; what follows it is left alone. Raises SignatureMalformed."""
    header = data[at : at + 2]
    if len(header) < len(b"TL") or header[0] & _LONG_TAG == _LONG_TAG:
        raise malformed(f"There is no DER element at byte {at}.")
    start, length = at + len(header), header[1]
    if length >= _LONG_FORM:
        count = length - _LONG_FORM
        length = int.from_bytes(data[start : start + count], "big")
        start += count
        if not 0 < count <= _MOST_LENGTH_BYTES:
            raise malformed(f"The DER element at byte {at} has no definite length.")
    if start + length > len(data):
        raise malformed(f"The DER element at byte {at} ends beyond what holds it.")
    return Element(header[0], data[start : start + length], data[at : start + length])


def expect(element: Element, tag: int) -> Element:
    """Give ``element`` back when it has this tag. Raises SignatureMalformed."""
    if element.tag != tag:
        raise malformed(f"A DER element has the tag {element.tag:#04x} instead of {tag:#04x}.")
    return element


def at_least(elements: list[Element], count: int) -> list[Element]:
    """Give ``elements`` back when there are ``count`` of them. Raises SignatureMalformed."""
    if len(elements) < count:
        raise malformed(f"A DER element holds {len(elements)} others instead of {count}.")
    return elements


def malformed(detail: str) -> SignatureMalformed:
    """Make the error for a signature or certificate that can not be read."""
    return SignatureMalformed(
        "A signature or certificate can not be read.",
        detail=detail,
        hint="Use an image whose loader is intact, or switch Secure Boot off in the firmware's setup.",
    )
