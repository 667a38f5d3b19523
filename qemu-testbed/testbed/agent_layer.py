"""The agent in the rescue system: two layers, one with what it depends on and one with its own packages."""

from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path

from .cache import Cache, content_key
from .command import run
from .debian_tree import FILES
from .initramfs import pack_cpio, pack_layer

PACKAGES = ("agent", "configdrive", "partitioning")
LAUNCHER = FILES / "agent/byoi-agent"
UNIT = "byoi-agent-boot.service"
_HOME = Path("usr/lib/byoi-agent")
_PYTHON = "3.11"  # Debian 12's
# Wheels name the oldest C library that they run with; Debian 12 has 2.36.
_PLATFORMS = ("manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in (17, 28, 31, 34, 36)))


def layers(checkout: Path, cache: Cache) -> tuple[Path, Path]:
    """The cache entries of both layers, each with a file `initrd` to append to the base's."""
    dependencies = _dependencies(checkout)
    own = Path(__file__)
    with_dependencies = cache.get_or_build(
        "agent-dependencies",
        content_key(own, *dependencies),
        lambda target: _build_dependencies(target, dependencies),
    )
    sources = [path for name in PACKAGES if (path := checkout / name).is_dir()]
    unit = checkout / "packaging/systemd" / UNIT
    with_agent = cache.get_or_build(
        "agent-sources",
        content_key(own, LAUNCHER, unit, *sources),
        lambda target: _build_sources(target, sources, unit),
    )
    return with_dependencies, with_agent


def _dependencies(checkout: Path) -> list[str]:
    project = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return sorted(str(requirement) for requirement in project["dependencies"])


def _build_dependencies(target: Path, dependencies: list[str]) -> None:
    tree = target / "tree"
    site = tree / _HOME / "dependencies"
    site.mkdir(parents=True)
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", site),
        *("--only-binary=:all:", "--implementation", "cp", "--python-version", _PYTHON),
        *(word for platform in _PLATFORMS for word in ("--platform", platform)),
        *dependencies,
    )
    _finish(target, tree, "40-agent-dependencies")


def _build_sources(target: Path, sources: list[Path], unit: Path) -> None:
    tree = target / "tree"
    home = tree / _HOME / "packages"
    home.mkdir(parents=True)
    for source in sources:
        shutil.copytree(source, home / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    launcher = tree / "usr/bin/byoi-agent"
    launcher.parent.mkdir(parents=True)
    shutil.copyfile(LAUNCHER, launcher)
    launcher.chmod(0o755)
    _enable(unit, tree)
    _finish(target, tree, "50-agent")


def _enable(unit: Path, tree: Path) -> None:
    """Lay the unit of boot mode where systemd starts it; it looks at the kernel's command line itself."""
    place = tree / "usr/lib/systemd/system" / UNIT
    place.parent.mkdir(parents=True)
    shutil.copyfile(unit, place)
    wanted = tree / "etc/systemd/system/multi-user.target.wants" / UNIT
    wanted.parent.mkdir(parents=True)
    wanted.symlink_to(f"/usr/lib/systemd/system/{UNIT}")


def _finish(target: Path, tree: Path, layer: str) -> None:
    _compile(tree)
    directory = target / "layer/layers"
    directory.mkdir(parents=True)
    pack_layer(tree, directory / f"{layer}.squashfs")
    pack_cpio(target / "layer", target / "initrd")
    shutil.rmtree(target / "layer")
    shutil.rmtree(tree)


def _compile(tree: Path) -> None:
    """Compile the Python files, with an interpreter whose byte code the rescue system's can read.

    The byte code is marked as not to be checked against its source, so that file times do not matter. A file
    that does not compile is the agent's business, not this layer's: compileall's exit code is not looked at.
    """
    interpreter = sys.executable if sys.version_info[:2] == (3, 11) else "python3.11"
    options = ("-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", str(tree), "-p", "/")
    run(interpreter, "-m", "compileall", *options, tree)
