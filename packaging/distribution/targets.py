"""The systems that the single file and the package are for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Python:
    """A version of CPython for which there are compiled parts."""

    minor: int

    @property
    def version(self) -> str:
        """Give it as pip takes it: ``3.11``."""
        return f"3.{self.minor}"


PYTHONS = tuple(Python(minor=minor) for minor in (11, 12, 13, 14))
"""What the single file runs with: Debian 12's, Ubuntu 24.04's and Debian 13's are among them."""

PACKAGE_PYTHONS = PYTHONS[:3]
"""What the Debian package runs with: Debian 12's, Ubuntu 24.04's and Debian 13's."""

MACHINE = "x86_64"
_GLIBC_MINORS = (17, 28, 31, 34, 35, 36)
PLATFORMS = (f"manylinux2014_{MACHINE}", *(f"manylinux_2_{minor}_{MACHINE}" for minor in _GLIBC_MINORS))
"""Kinds of wheels (PEP 600). Debian 12 has glibc 2.36, Ubuntu 24.04 a newer one."""
