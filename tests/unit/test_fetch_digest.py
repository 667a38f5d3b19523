import hashlib

import pytest

from agent.fetch.digest import Checksum, ChecksumKind, Digest
from agent.fetch.errors import ChecksumMismatch

DATA = b"an image"


@pytest.mark.parametrize("kind", list(ChecksumKind))
@pytest.mark.parametrize("upper", [True, False])
def test_the_right_sum_in_either_case(kind: ChecksumKind, upper: bool) -> None:
    value = hashlib.new(kind, DATA).hexdigest()
    digest = Digest(Checksum(kind, value.upper() if upper else value))
    digest.update(DATA[:3])
    digest.update(DATA[3:])
    digest.verify()


def test_a_wrong_sum_names_both() -> None:
    digest = Digest(Checksum(ChecksumKind.SHA256, "AB" * 32))
    digest.update(DATA)
    with pytest.raises(ChecksumMismatch) as caught:
        digest.verify()
    assert caught.value.actual == hashlib.sha256(DATA).hexdigest()
    assert caught.value.expected == "AB" * 32
    assert caught.value.kind == "sha256"


@pytest.mark.parametrize("value", ["", "abc", "é" * 64])
def test_a_sum_that_is_none_does_not_match(value: str) -> None:
    with pytest.raises(ChecksumMismatch):
        Digest(Checksum(ChecksumKind.MD5, value)).verify()


def test_reset_forgets() -> None:
    digest = Digest(also=[ChecksumKind.SHA1])
    digest.update(b"what came before")
    digest.reset()
    digest.update(DATA)
    assert digest.values() == {ChecksumKind.SHA1: hashlib.sha1(DATA).hexdigest()}


def test_each_kind_once() -> None:
    expected = Checksum(ChecksumKind.MD5, hashlib.md5(b"").hexdigest())
    digest = Digest(expected, also=[ChecksumKind.SHA256, ChecksumKind.MD5])
    assert list(digest.values()) == [ChecksumKind.MD5, ChecksumKind.SHA256]


def test_nothing_expected_is_always_right() -> None:
    Digest().verify()
