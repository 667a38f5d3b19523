"""The manifest of an OVA: the sums of its other files. Source: DMTF DSP0243, section 6, "OVF package"."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.images.errors import PUBLISH_AGAIN, BadFormat
from agent.images.ova.archive import Member
from partitioning.byte_access import ByteReader

MOST_BYTES = 1 << 20
_PIECE = 2 << 20
_LINE = re.compile(r"(SHA1|SHA256|SHA512)\s*\(([^)]{1,1000})\)\s*=\s*([0-9A-Fa-f]{40,128})")


KINDS = ("sha1", "sha256", "sha512")
"""The kinds of sums, by their names in hashlib."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum, of a kind out of KINDS, in hexadecimal digits."""

    kind: str
    value: str


class Manifest:
    """The sums by the names of the files."""

    def __init__(self, text: bytes) -> None:
        """Read a manifest. Raises BadFormat."""
        self._sums: dict[str, Sum] = {}
        for line in text.decode("utf-8", errors="surrogateescape").splitlines():
            match = _LINE.fullmatch(line.strip())
            if match is None and line.strip():
                raise BadFormat("The manifest has a line that is no sum of a known kind.", hint=PUBLISH_AGAIN)
            if match is not None:
                self._sums[match[2].removeprefix("./")] = Sum(match[1].lower(), match[3].lower())

    def get(self, name: str) -> Sum | None:
        """Give the sum of the file called ``name``; None where there is none."""
        return self._sums.get(name)

    def sum_of(self, member: Member) -> Sum:
        """Give the sum of a member. Raises BadFormat where there is none."""
        wanted = self.get(member.name)
        if wanted is None:
            raise BadFormat(f"The manifest has no sum for {member.name!a}.", hint=PUBLISH_AGAIN)
        return wanted

    def check(self, file: ByteReader, member: Member) -> None:
        """Read a member of the archive and compare its sum. Raises BadFormat."""
        wanted = self.sum_of(member)
        digest, end = hashlib.new(wanted.kind, usedforsecurity=False), member.start + member.size
        for at in range(member.start, end, _PIECE):
            digest.update(file.pread(min(_PIECE, end - at), at))
        compare(wanted, {wanted.kind: digest.hexdigest()}, member)


def compare(wanted: Sum, sums: Mapping[str, str], member: Member) -> None:
    """Compare the sums of a member, by their kinds, with the one that is wanted. Raises BadFormat."""
    actual = sums[wanted.kind]
    if not hmac.compare_digest(actual, wanted.value):
        raise BadFormat(
            f"The manifest gives the {wanted.kind} {wanted.value} for {member.name!a}, and the file has"
            f" {actual}.",
            hint=PUBLISH_AGAIN,
        )
