"""The wheels of what the agent depends on: asked for with pip, and read as the zip files that they are.

The file name's tags and the directories in a wheel are as PEP 427 has them.
"""

import hashlib
import re
import shutil
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from testbed.cache import Cache, content_key
from testbed.command import run

from distribution.targets import PLATFORMS, Python

SUMS = Path(__file__).with_name("wheels.sha256")
"""The sums of all wheels that are bundled, as sha256sum writes them."""

_GLIBC = re.compile(r"manylinux_(\d+)_(\d+)_")
# What only an installer reads, and differs between the wheels of one project.
_LEFT_OUT = re.compile(r"[^/]+\.dist-info/(RECORD|WHEEL|INSTALLER|REQUESTED)")


@dataclass(frozen=True)
class Wheel:
    """A wheel file."""

    path: Path

    @property
    def name(self) -> str:
        """Give the project's name in the form that compares (PEP 503)."""
        return re.sub(r"[-_.]+", "-", self.path.name.split("-")[0]).lower()

    @property
    def version(self) -> str:
        """Give its version."""
        return self.path.name.split("-")[1]

    @property
    def glibc(self) -> tuple[int, int]:
        """Give the least glibc that it runs with; (0, 0) where it has no compiled parts."""
        tag = self.path.stem.split("-")[-1].replace("manylinux2014_", "manylinux_2_17_")
        found = [(int(major), int(minor)) for major, minor in _GLIBC.findall(tag)]
        return min(found, default=(0, 0))

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Give the files that are installed, by path."""
        with zipfile.ZipFile(self.path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            return {place: archive.read(name) for name in names if (place := _place(name)) is not None}

    @property
    def metadata(self) -> str:
        """Give the project's own description of itself, with what it requires."""
        return next(
            text.decode() for name, text in self.files.items() if name.endswith(".dist-info/METADATA")
        )


def _place(name: str) -> str | None:
    """Give where a member of a wheel is put; None where it is not for a program that only runs."""
    if _LEFT_OUT.fullmatch(name):
        return None
    directory, _, rest = name.partition("/")
    if not directory.endswith(".data"):
        return name
    kind, _, place = rest.partition("/")
    return place if kind in ("purelib", "platlib") else None


def dependencies(checkout: Path) -> list[str]:
    """Give what the project asks for."""
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return sorted(str(requirement) for requirement in project["dependencies"])


def pins(checkout: Path) -> dict[str, str]:
    """Give the versions that are to be taken, by the project's name."""
    lines = (checkout / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def wheels(checkout: Path, python: Python, cache: Cache) -> list[Wheel]:
    """Give the wheels for one version of Python, in the order of their names.

    What is not pinned in constraints.txt, or is not the file that the list of sums has, is an error: what
    runs as root on servers is what was looked at, and the same pins give the same bytes. Raises ValueError.
    """
    found = downloaded(checkout, python, cache)
    _require_pinned(found, pins(checkout))
    require_known(found, known_sums())
    return found


def downloaded(checkout: Path, python: Python, cache: Cache) -> list[Wheel]:
    """Give what pip takes for one version of Python, in the order of their names, whatever it is."""
    asked, constraints = dependencies(checkout), checkout / "constraints.txt"
    key = content_key(python.version, *PLATFORMS, *asked, constraints, Path(__file__))
    entry = cache.get_or_build(
        f"wheels-{python.version}", key, lambda target: _download(target, python, asked, constraints)
    )
    return [Wheel(path) for path in sorted(entry.glob("*.whl"))]


def sums_of(found: Iterable[Wheel]) -> dict[str, str]:
    """Give the SHA-256 of each file, by its name."""
    return {wheel.path.name: hashlib.sha256(wheel.path.read_bytes()).hexdigest() for wheel in found}


def require_known(found: Iterable[Wheel], known: Mapping[str, str]) -> None:
    """Raise ValueError where a wheel is not the one that is known by its name."""
    other = sorted(name for name, digest in sums_of(found).items() if known.get(name) != digest)
    if other:
        raise ValueError(
            f"{SUMS.name} does not have these files: {', '.join(other)}. After a change of constraints.txt,"
            " look at what is new, then: make dist-sums"
        )


def known_sums() -> dict[str, str]:
    """Give the sums of the wheels that may be bundled, by file name."""
    pairs = (line.split("  ", 1) for line in SUMS.read_text(encoding="ascii").splitlines())
    return {name: digest for digest, name in pairs}


def write_sums(found: Iterable[Wheel]) -> None:
    """Take the wheels that there are for those that may be bundled."""
    lines = (f"{digest}  {name}\n" for name, digest in sorted(sums_of(found).items()))
    SUMS.write_text("".join(lines), encoding="ascii")


def _download(target: Path, python: Python, asked: list[str], constraints: Path) -> None:
    run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", target, "--constraint", constraints),
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", python.version),
        *(word for platform in PLATFORMS for word in ("--platform", platform)),
        *asked,
        cwd=target,
    )
    for left in [path for path in target.iterdir() if path.suffix != ".whl"]:
        shutil.rmtree(left) if left.is_dir() else left.unlink()


def _require_pinned(found: list[Wheel], pinned: dict[str, str]) -> None:
    loose = [f"{wheel.name}=={wheel.version}" for wheel in found if pinned.get(wheel.name) != wheel.version]
    if loose:
        raise ValueError(f"constraints.txt does not pin what is bundled: {', '.join(loose)}")


def all_wheels(checkout: Path, pythons: Iterable[Python], cache: Cache) -> list[Wheel]:
    """Give the wheels for several versions; what is for all of them comes more than once."""
    return [wheel for python in pythons for wheel in wheels(checkout, python, cache)]


def glibc_of(found: Iterable[Wheel]) -> str:
    """Give the least glibc that all of them run with."""
    return ".".join(str(part) for part in max(wheel.glibc for wheel in found))
