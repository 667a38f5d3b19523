"""Files out of Debian's packages, without installing them: boot loaders change what a machine boots with.

A package is downloaded once and kept in the test bed's cache; apt decides which version that is.
"""

import subprocess
from functools import cache
from pathlib import Path

from testbed.cache import Cache, content_key


@cache
def debian_package(name: str) -> Path:
    """Give the directory that holds what the package would install."""
    version = _apt_cache("policy", name).split("Candidate:")[1].split()[0]
    return Cache().get_or_build(f"deb-{name}", content_key(name, version), lambda entry: _unpack(name, entry))


def newest_dependency(name: str, prefix: str) -> str:
    """Give the package with this prefix that a meta package stands for."""
    lines = _apt_cache("depends", "--important", name).splitlines()
    return next(line.split()[-1] for line in lines if f"Depends: {prefix}" in line)


def _unpack(name: str, entry: Path) -> None:
    subprocess.run(["apt-get", "-qq", "download", name], cwd=entry, check=True)
    (package,) = entry.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, entry], check=True)
    package.unlink()


def _apt_cache(*words: str) -> str:
    return subprocess.run(["apt-cache", *words], check=True, capture_output=True, text=True).stdout
