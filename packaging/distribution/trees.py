"""The files that are handed out: the agent's own, what it depends on, and what differs between Pythons."""

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.cache import Cache, content_key
from testbed.command import run

from distribution.targets import Python
from distribution.wheels import Wheel, wheels

OWN_PACKAGES = ("agent", "configdrive", "partitioning")

Files = Mapping[str, bytes]
_COMMON = "common"

# zstandard's other way to reach the same library, for PyPy; CPython loads backend_c. Each is a copy of it.
_NOT_USED = re.compile(r"zstandard/(_cffi\.cpython-.*\.so|backend_cffi\.py)")

# What a compiled part was made of. Each has the moment of its making in it; one of them is kept.
_BILL = re.compile(r"[^/]+\.dist-info/sboms/[^/]+")


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """What the agent depends on: ``common`` to all versions of Python, and what is for one of them."""

    common: Files
    compiled: Mapping[Python, Files]


def own_files(checkout: Path) -> Files:
    """Give the agent's own packages, with the files in them that are not Python's: those of the page."""
    found = (path for name in OWN_PACKAGES for path in (checkout / name).rglob("*") if path.is_file())
    kept = sorted(path for path in found if "__pycache__" not in path.parts)
    return {str(path.relative_to(checkout)): path.read_bytes() for path in kept}


def dependencies(checkout: Path, pythons: Sequence[Python], cache: Cache) -> Dependencies:
    """Give what the agent depends on for these versions of Python, from the cache where it is there."""
    found = {python: wheels(checkout, python, cache) for python in pythons}
    names = (f"{path.parent.name}/{path.name}" for path in _paths(found))
    entry = cache.get_or_build(
        "dependencies", content_key(*names, Path(__file__)), lambda target: _write(split(found), target)
    )
    compiled = {python: _read(entry / python.version) for python in pythons}
    return Dependencies(common=_read(entry / _COMMON), compiled=compiled)


def _paths(found: Mapping[Python, Iterable[Wheel]]) -> list[Path]:
    return sorted({wheel.path for each in found.values() for wheel in each})


def _write(both: Dependencies, target: Path) -> None:
    named = {_COMMON: both.common, **{python.version: files for python, files in both.compiled.items()}}
    for directory, files in named.items():
        for name, data in files.items():
            path = target / directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def _read(directory: Path) -> Files:
    paths = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in sorted(paths)}


def split(found: Mapping[Python, Iterable[Wheel]]) -> Dependencies:
    """Tell apart what all versions of Python share, and take from compiled parts what only a debugger reads.

    Two wheels with the same file are an error; so is one that differs where its name does not say for whom.
    """
    trees = {python: _merged(each) for python, each in found.items()}
    first, *others = trees.values()
    common = {
        name: data
        for name, data in first.items()
        if _BILL.fullmatch(name) or all(tree.get(name) == data for tree in others)
    }
    compiled = {
        python: {name: data for name, data in tree.items() if name not in common}
        for python, tree in trees.items()
    }
    for python, tree in compiled.items():
        _require_named_for(python, tree)
    return Dependencies(
        common=_stripped(common), compiled={python: _stripped(tree) for python, tree in compiled.items()}
    )


def _merged(wheels: Iterable[Wheel]) -> dict[str, bytes]:
    merged: dict[str, bytes] = {}
    for wheel in wheels:
        new = {name: data for name, data in wheel.files.items() if not _NOT_USED.fullmatch(name)}
        if twice := merged.keys() & new.keys():
            raise ValueError(
                f"{wheel.path.name} has files that another wheel has: {', '.join(sorted(twice))}"
            )
        merged |= new
    return merged


def _require_named_for(python: Python, tree: Files) -> None:
    tag = f".cpython-3{python.minor}-"
    if odd := [name for name in tree if tag not in name]:
        raise ValueError(f"not the same for all versions of Python: {', '.join(sorted(odd))}")


def _stripped(tree: Files) -> Files:
    return {name: _strip(data) if data.startswith(b"\x7fELF") else data for name, data in tree.items()}


def _strip(data: bytes) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".so") as file:
        path = Path(file.name)
        path.write_bytes(data)
        run("strip", "--strip-unneeded", "--enable-deterministic-archives", path)
        return path.read_bytes()
