"""The manifest of an OVA: the sums of its other files. Source: DMTF DSP0243, section 6, "OVF package"."""

import hashlib
import hmac
import re
from dataclasses import dataclass

from agent.images.errors import PUBLISH_AGAIN, BadFormat
from agent.images.ova.archive import Member
from partitioning.byte_access import ByteReader

MOST_BYTES = 1 << 20
_PIECE = 2 << 20
_LINE = re.compile(r"(SHA1|SHA256|SHA512)\s*\(([^)]{1,1000})\)\s*=\s*([0-9A-Fa-f]{40,128})")


@dataclass(frozen=True, slots=True)
class _Sum:
    kind: str
    value: str


class Manifest:
    """The sums by the names of the files."""

    def __init__(self, text: bytes) -> None:
        """Read a manifest. Raises BadFormat."""
        self._sums: dict[str, _Sum] = {}
        for line in text.decode("utf-8", errors="surrogateescape").splitlines():
            match = _LINE.fullmatch(line.strip())
            if match is None and line.strip():
                raise BadFormat("The manifest has a line that is no sum of a known kind.", hint=PUBLISH_AGAIN)
            if match is not None:
                self._sums[match[2].removeprefix("./")] = _Sum(match[1].lower(), match[3].lower())

    def check(self, file: ByteReader, member: Member) -> None:
        """Read a member of the archive and compare its sum. Raises BadFormat."""
        wanted = self._sums.get(member.name)
        if wanted is None:
            raise BadFormat(f"The manifest has no sum for {member.name!a}.", hint=PUBLISH_AGAIN)
        digest, end = hashlib.new(wanted.kind, usedforsecurity=False), member.start + member.size
        for at in range(member.start, end, _PIECE):
            digest.update(file.pread(min(_PIECE, end - at), at))
        if not hmac.compare_digest(digest.hexdigest(), wanted.value):
            raise BadFormat(
                f"The manifest gives the {wanted.kind} {wanted.value} for {member.name!a}, and the"
                f" file has {digest.hexdigest()}.",
                hint=PUBLISH_AGAIN,
            )
