"""The Debian package: everything below /usr/lib/byoi-agent, and nothing from elsewhere but Python and tools.

Compiled parts carry the version of Python in their names, so those for several versions lie side by side.
"""

import gzip
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from testbed.cache import Cache
from testbed.command import run

from agent.version import VERSION
from distribution import trees
from distribution.archives import TIME
from distribution.copyright import copyright_text
from distribution.targets import PACKAGE_PYTHONS
from distribution.wheels import all_wheels, glibc_of

_PACKAGING = Path(__file__).parents[1]
_HOME = "usr/lib/byoi-agent"
_DOCUMENTS = "usr/share/doc/byoi-agent"
_MANUAL = "usr/share/man/man1/byoi-agent.1.gz"
_UNITS = "usr/lib/systemd/system"
_SCRIPTS = ("postinst", "prerm")


@dataclass(frozen=True, kw_only=True)
class _File:
    content: bytes
    mode: int = 0o644


def build_package(checkout: Path, target: Path, cache: Cache) -> Path:
    """Write the package into the directory ``target``, and give its path."""
    path = target / f"byoi-agent_{VERSION}_amd64.deb"
    with TemporaryDirectory(prefix="byoi-package-") as name:
        tree = Path(name)
        tree.chmod(0o755)
        files, glibc = _files(checkout, cache)
        _lay_out(tree, files)
        _lay_out(tree, _control(files, glibc))
        _set_times(tree)
        # The archive's own times are those of the variable; xz of one thread gives the same bytes everywhere.
        run(
            *("dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build", tree, path),
            environment={"SOURCE_DATE_EPOCH": str(TIME)},
        )
    return path


def _files(checkout: Path, cache: Cache) -> tuple[dict[str, _File], str]:
    """Give what is installed, and the least glibc that it runs with."""
    dependencies = trees.dependencies(checkout, PACKAGE_PYTHONS, cache)
    every = all_wheels(checkout, PACKAGE_PYTHONS, cache)
    bundled = {**trees.own_files(checkout), **dependencies.common}
    for files in dependencies.compiled.values():
        bundled |= files
    installed = {f"{_HOME}/{name}": _File(content=data) for name, data in bundled.items()}
    installed["usr/bin/byoi-agent"] = _File(content=_source("launcher"), mode=0o755)
    for unit in sorted((_PACKAGING / "systemd").iterdir()):
        installed[f"{_UNITS}/{unit.name}"] = _File(content=unit.read_bytes())
    installed[f"{_DOCUMENTS}/copyright"] = _File(content=copyright_text(every).encode())
    page = (checkout / "docs/byoi-agent.1").read_bytes()
    installed[_MANUAL] = _File(content=gzip.compress(page, 9, mtime=0))
    log = _source("changelog").decode().format(version=VERSION).encode()
    installed[f"{_DOCUMENTS}/changelog.gz"] = _File(content=gzip.compress(log, 9, mtime=0))
    return installed, glibc_of(every)


def _control(files: Mapping[str, _File], glibc: str) -> dict[str, _File]:
    size = sum(len(file.content) for file in files.values()) // 1024
    fields = {
        "version": VERSION,
        "glibc": glibc,
        "installed_size": size,
        "oldest": PACKAGE_PYTHONS[0].version,
        "next": f"3.{PACKAGE_PYTHONS[-1].minor + 1}",
    }
    control = _source("control").decode().format(**fields)
    scripts = {f"DEBIAN/{name}": _File(content=_source(name), mode=0o755) for name in _SCRIPTS}
    return {"DEBIAN/control": _File(content=control.encode()), **scripts}


def _source(name: str) -> bytes:
    return (_PACKAGING / "debian" / name).read_bytes()


def _lay_out(tree: Path, files: Mapping[str, _File]) -> None:
    for name, file in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)


def _set_times(tree: Path) -> None:
    for path in tree.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (TIME, TIME))
