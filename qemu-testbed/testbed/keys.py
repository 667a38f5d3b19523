"""SSH key pairs: the test bed's own, kept in the cache, and fresh ones for a test or a demonstration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .cache import Cache, content_key
from .command import run


@dataclass(frozen=True)
class KeyPair:
    """An OpenSSH key pair on disk; the public half lies beside the private one."""

    private: Path

    @property
    def public(self) -> str:
        """The public key as one line, as it goes into authorized_keys."""
        return Path(f"{self.private}.pub").read_text(encoding="utf-8").strip()


def generate(directory: Path, name: str = "id_ed25519", comment: str = "byoi-testbed") -> KeyPair:
    """Make a key pair without a passphrase in `directory`."""
    private = directory / name
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", private)
    return KeyPair(private)


def testbed_key(cache: Cache) -> KeyPair:
    """The key that opens every rescue system built on this machine."""
    entry = cache.get_or_build("ssh-key", content_key("ed25519"), lambda directory: _generate_into(directory))
    return KeyPair(entry / "id_ed25519")


def _generate_into(directory: Path) -> None:
    generate(directory)
