"""``byoi-agent.pyz``: a zip file that Python runs, with all in it that the agent needs beside Python."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from testbed.cache import Cache, content_key

from distribution import archives, trees
from distribution.targets import PYTHONS
from distribution.wheels import all_wheels, glibc_of

NAME = "byoi-agent.pyz"
_STARTER = Path(__file__).parents[1] / "single_file"
_SHEBANG = b"#!/usr/bin/env python3\n"
_KEY_DIGITS = 16


def build_single_file(checkout: Path, target: Path, cache: Cache) -> Path:
    """Write the file into the directory ``target``, and give its path."""
    content = single_file(checkout, cache)
    path = target / NAME
    path.write_bytes(content)
    path.chmod(0o755)
    return path


def single_file(checkout: Path, cache: Cache) -> bytes:
    """Give the file's content."""
    packed = _packed_dependencies(trees.dependencies(checkout, PYTHONS, cache), cache)
    packed["agent"] = archives.tar_xz(trees.own_files(checkout))
    key = hashlib.sha256(b"".join(packed[name] for name in sorted(packed))).hexdigest()[:_KEY_DIGITS]
    words = [key, glibc_of(all_wheels(checkout, PYTHONS, cache)), *(python.version for python in PYTHONS)]
    members = {
        **_starter(),
        "contents/pythons": " ".join(words).encode() + b"\n",
        **{f"contents/{name}.tar.xz": data for name, data in packed.items()},
    }
    return archives.zip_file(members, first_line=_SHEBANG)


def _starter() -> dict[str, bytes]:
    sources = {path.name: path.read_bytes() for path in _STARTER.glob("*.py")}
    main = sources.pop("__main__.py")
    return {"__main__.py": main, **{f"single_file/{name}": data for name, data in sources.items()}}


def _packed_dependencies(both: trees.Dependencies, cache: Cache) -> dict[str, bytes]:
    """Pack what does not change with the agent's own sources, or take it from the cache: it takes a while."""
    parts = {"dependencies": both.common}
    parts |= {python.version: files for python, files in both.compiled.items()}
    listed = [
        item for name, files in parts.items() for pair in ((name, b""), *files.items()) for item in pair
    ]
    key = content_key(*listed, Path(archives.__file__), Path(__file__))
    entry = cache.get_or_build("packed-dependencies", key, lambda target: _pack(parts, target))
    return {path.name.removesuffix(".tar.xz"): path.read_bytes() for path in entry.glob("*.tar.xz")}


def _pack(parts: Mapping[str, trees.Files], target: Path) -> None:
    for name, files in parts.items():
        (target / f"{name}.tar.xz").write_bytes(archives.tar_xz(files))
