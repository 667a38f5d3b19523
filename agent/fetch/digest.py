"""Checksums of an image, computed while it comes."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from agent.fetch.errors import ChecksumMismatch


class ChecksumKind(StrEnum):
    """The checksums a request may name; the value is hashlib's name, too."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA256 = "sha256"
    SHA512 = "sha512"

    @property
    def hex_digits(self) -> int:
        """How many hexadecimal digits a sum of this kind has."""
        return {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}[self.value]


@dataclass(frozen=True, slots=True)
class Checksum:
    """A sum that an image has to have: its kind, and hexadecimal digits in either case."""

    kind: ChecksumKind
    value: str


class Digest:
    """Computes the expected checksum's kind, and others when asked, over what ``update`` is given."""

    def __init__(self, expected: Checksum | None = None, *, also: Iterable[ChecksumKind] = ()) -> None:
        """Compute ``expected.kind`` and each of ``also``; neither given means nothing is computed."""
        self.expected = expected
        wanted = [expected.kind] if expected else []
        self._kinds = tuple(dict.fromkeys([*wanted, *also]))
        self.reset()

    def reset(self) -> None:
        """Forget all bytes: the download starts again."""
        # usedforsecurity: a kernel in FIPS mode refuses md5 otherwise, which customers still publish.
        self._sums = {kind: hashlib.new(kind, usedforsecurity=False) for kind in self._kinds}

    def anew(self) -> "Digest":
        """Give another that computes the same kinds, over no bytes yet."""
        return Digest(also=self._kinds)

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        for running in self._sums.values():
            running.update(data)

    def values(self) -> dict[ChecksumKind, str]:
        """Return the sums of all bytes so far, in lower-case hexadecimal digits."""
        return {kind: running.hexdigest() for kind, running in self._sums.items()}

    def verify(self) -> None:
        """Compare with the expected sum, if there is one. Raises ChecksumMismatch."""
        if self.expected is None:
            return
        kind, expected = self.expected.kind, self.expected.value.strip().lower()
        actual = self._sums[kind].hexdigest()
        if not hmac.compare_digest(actual.encode(), expected.encode()):
            raise ChecksumMismatch(actual=actual, expected=self.expected.value, kind=kind)
