"""Authenticode: how an EFI program is signed, and the sum that a signature is over.

Microsoft's "Windows Authenticode Portable Executable Signature Format" (2008) and UEFI specification 2.10,
section 32.2 (WIN_CERTIFICATE). The sum leaves out the checksum, the entry of the certificate table and the
table itself. UEFI counts what lies behind the sections as the bytes from the sum of all sizes on, which is
not where they begin when there are gaps; the sum here does the same.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from partitioning.uefi.certificate import Certificate, parse_certificate, readable_name
from partitioning.uefi.der import (
    CONTEXT_0,
    OBJECT_ID,
    OCTET_STRING,
    SEQUENCE,
    Element,
    SignatureMalformed,
    at_least,
    expect,
    malformed,
    read_element,
)
from partitioning.uefi.pe_image import PeImage
from partitioning.uefi.pe_image import malformed as pe_malformed

# Length with this header, revision, type.
_CERTIFICATE = struct.Struct("<IHH")
_ALIGNMENT = 8
_PKCS_SIGNED_DATA = 0x0002
_EFI_GUID = 0x0EF1
_CERT_PKCS7 = UUID("4aafd29d-68df-49ee-8aa9-347d375665a7")
_GUID_SIZE = 16
_CHECKSUM_SIZE = 4
_ENTRY_SIZE = 8

_MOST_SIGNATURES = 16
_LARGEST_SIGNATURE = 1 << 18
_MOST_CERTIFICATES = 32

_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_INDIRECT_DATA = bytes.fromhex("2b060104018237020104")
_SHA256 = bytes.fromhex("608648016503040201")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature.

    ``pkcs7`` is the whole of it in DER, ``content`` what its signer has signed: the sum of the image, and how
    it was made. ``digest`` is that sum, None where it is not SHA-256. ``signer`` and ``issuer`` are names.
    """

    pkcs7: bytes
    content: bytes
    digest: bytes | None
    certificates: tuple[Certificate, ...]
    signer: str
    issuer: str


def image_digest(image: PeImage) -> bytes:
    """Give the SHA-256 sum of a program, as db and dbx name it and signatures are over it."""
    total = hashlib.sha256()
    data = memoryview(image.data)
    entry = image.certificates_entry_at
    after_checksum = image.checksum_at + _CHECKSUM_SIZE
    total.update(data[: image.checksum_at])
    if entry is None:
        total.update(data[after_checksum : image.headers_size])
    else:
        total.update(data[after_checksum:entry])
        total.update(data[entry + _ENTRY_SIZE : image.headers_size])
    counted = image.headers_size
    for section in sorted(image.sections, key=lambda section: section.offset):
        total.update(data[section.offset : section.offset + section.size])
        counted += section.size
    total.update(data[counted : len(data) - image.certificates_size])
    return total.digest()


def signature_blobs(image: PeImage) -> list[bytes]:
    """Give the signatures as they stand in the file. Raises PeMalformed."""
    return list(_blobs(image))


def parse_signature(pkcs7: bytes) -> Signature:
    """Read a signature. Raises SignatureMalformed."""
    if len(pkcs7) > _LARGEST_SIGNATURE:
        raise malformed(f"A signature has {len(pkcs7)} bytes.")
    whole = expect(read_element(pkcs7), SEQUENCE)
    # PKCS #7 (RFC 2315), 9.1: version, digest algorithms, content, certificates, (CRLs,) signers.
    _, _, content_info, *rest, signers = at_least(_wrapped(whole, _SIGNED_DATA).children(), 4)
    content = expect(_wrapped(content_info, _INDIRECT_DATA), SEQUENCE)
    certificates = _certificates(rest)
    issuer, serial = _signer(signers)
    own = (found for found in certificates if (found.issuer, found.serial) == (issuer.raw, serial.raw))
    signer = next(own, None)
    return Signature(
        pkcs7=whole.raw,
        content=content.content,
        digest=_digest(content),
        certificates=certificates,
        signer=signer.subject if signer else f"somebody certified by {readable_name(issuer)}",
        issuer=readable_name(issuer),
    )


def _blobs(image: PeImage) -> Iterator[bytes]:
    at, end = image.certificates_at, image.certificates_at + image.certificates_size
    count = 0
    while at + _CERTIFICATE.size <= end:
        length, _, kind = _CERTIFICATE.unpack_from(image.data, at)
        count += 1
        if length < _CERTIFICATE.size or at + length > end or count > _MOST_SIGNATURES:
            raise pe_malformed(f"Its certificate table is broken at byte {at}.")
        body = image.data[at + _CERTIFICATE.size : at + length]
        if kind == _PKCS_SIGNED_DATA:
            yield body
        elif kind == _EFI_GUID and body.startswith(_CERT_PKCS7.bytes_le):
            yield body[_GUID_SIZE:]
        at += -(-length // _ALIGNMENT) * _ALIGNMENT


def _wrapped(info: Element, kind: bytes) -> Element:
    """Give what a ContentInfo (RFC 2315, section 7) of this kind holds."""
    found, wrapper, *_ = at_least(expect(info, SEQUENCE).children(), 2)
    if expect(found, OBJECT_ID).content != kind:
        raise malformed("A signature is of another kind than programs have.")
    return at_least(expect(wrapper, CONTEXT_0).children(), 1)[0]


def _certificates(rest: list[Element]) -> tuple[Certificate, ...]:
    holder = next((element for element in rest if element.tag == CONTEXT_0), None)
    elements = holder.children() if holder else []
    if len(elements) > _MOST_CERTIFICATES:
        raise malformed(f"A signature comes with {len(elements)} certificates.")
    found = []
    for element in elements:
        # One that can not be read can not be part of a chain either.
        try:
            found.append(parse_certificate(element.raw))
        except SignatureMalformed:
            continue
    return tuple(found)


def _signer(signers: Element) -> tuple[Element, Element]:
    # SignerInfo (RFC 2315, 9.2): version, then issuer and serial number of the signer's certificate.
    first = at_least(signers.children(), 1)[0]
    _, name, *_ = at_least(expect(first, SEQUENCE).children(), 2)
    issuer, serial, *_ = at_least(expect(name, SEQUENCE).children(), 2)
    return issuer, serial


def _digest(content: Element) -> bytes | None:
    # SpcIndirectDataContent: data, then DigestInfo with algorithm and sum.
    _, info, *_ = at_least(content.children(), 2)
    algorithm, digest, *_ = at_least(expect(info, SEQUENCE).children(), 2)
    kind = at_least(expect(algorithm, SEQUENCE).children(), 1)[0]
    return expect(digest, OCTET_STRING).content if kind.content == _SHA256 else None
