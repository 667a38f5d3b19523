"""Lists of certificates and hashes in the form that UEFI keeps them in: db, dbx, and those of a shim.

UEFI specification 2.10, section 32.4.1 (Signature Database): EFI_SIGNATURE_LIST is a type, three sizes, a
header, and entries of one size that each begin with their owner's GUID.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

CERT_SHA256 = UUID("c1c41626-504c-4092-aca9-41f936934328")
CERT_X509 = UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
CERT_X509_SHA256 = UUID("3bd2a492-96c0-4079-b420-fcf98ef103ed")

_HEADER = struct.Struct("<16sIII")
_OWNER_SIZE = 16
_HASH_SIZE = 32
_TIME_SIZE = 16
# The largest that is known have 10 certificates; a check against one of them starts a process.
_MOST_CERTIFICATES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureLists:
    """What the lists of one variable name.

    ``certificates`` are X.509 in DER. ``hashes`` are SHA-256 sums of images as Authenticode makes them;
    ``certificate_hashes`` are those of the signed part of a certificate (its TBSCertificate).
    """

    certificates: tuple[bytes, ...] = ()
    hashes: frozenset[bytes] = frozenset()
    certificate_hashes: frozenset[bytes] = frozenset()


NOTHING = SignatureLists()


def parse_signature_lists(data: bytes) -> SignatureLists:
    """Read lists that follow one another. Types that are not known are skipped.

    Firmware stops at the first list whose sizes contradict each other, and so does this.
    """
    certificates: dict[bytes, None] = {}
    hashes: set[bytes] = set()
    certificate_hashes: set[bytes] = set()
    for kind, entry in _entries(data):
        if kind == CERT_X509 and len(certificates) < _MOST_CERTIFICATES:
            certificates[entry] = None
        elif kind == CERT_SHA256 and len(entry) == _HASH_SIZE:
            hashes.add(entry)
        elif kind == CERT_X509_SHA256 and len(entry) == _HASH_SIZE + _TIME_SIZE:
            certificate_hashes.add(entry[:_HASH_SIZE])
    return SignatureLists(
        certificates=tuple(certificates),
        hashes=frozenset(hashes),
        certificate_hashes=frozenset(certificate_hashes),
    )


def _entries(data: bytes) -> Iterator[tuple[UUID, bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        kind, list_size, header_size, entry_size = _HEADER.unpack_from(data, at)
        first, end = at + _HEADER.size + header_size, at + list_size
        # An entry has at least one byte beside its owner, so that both loops move on.
        if end > len(data) or first > end or entry_size <= _OWNER_SIZE:
            return
        for start in range(first, end - entry_size + 1, entry_size):
            yield UUID(bytes_le=kind), data[start + _OWNER_SIZE : start + entry_size]
        at = end
