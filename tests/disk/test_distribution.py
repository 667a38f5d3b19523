"""What is handed out, as built: that nothing is missing in it for any version of Python, and the package."""

import itertools
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from distribution.package import build_package
from distribution.targets import PACKAGE_PYTHONS, PYTHONS, Python
from distribution.trees import OWN_PACKAGES, dependencies
from distribution.wheels import Wheel, pins, wheels
from distribution.wheels import dependencies as asked_for
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from testbed.cache import Cache, content_key

from agent.version import VERSION
from partitioning.packages import TOOLS
from tests.agent_process import digest
from tests.small_images import tool

CHECKOUT = Path(__file__).parents[2]
EM_X86_64 = 62  # ELF's number of the machine
BY_VERSION = pytest.mark.parametrize("python", PYTHONS, ids=lambda python: python.version)


@BY_VERSION
def test_nothing_is_missing_that_is_required(python: Python) -> None:
    """Every requirement whose marker holds for that Python; pip looks at the one that it runs with."""
    found = {wheel.name: wheel for wheel in wheels(CHECKOUT, python, Cache())}
    own = [Requirement(line) for line in asked_for(CHECKOUT)]
    theirs = itertools.chain.from_iterable(map(_requirements, found.values()))
    wanted = [each for each in (*own, *theirs) if each.marker is None or each.marker.evaluate(_of(python))]
    assert len(wanted) > len(own) > 5
    for each in wanted:
        assert each.specifier.contains(found[canonicalize_name(each.name)].version), each


def _requirements(wheel: Wheel) -> list[Requirement]:
    lines = re.findall(r"^Requires-Dist: (.*)$", wheel.metadata.partition("\n\n")[0], re.MULTILINE)
    return [Requirement(line) for line in lines]


def _of(python: Python) -> dict[str, str]:
    names = {"python_version": python.version, "python_full_version": f"{python.version}.0", "extra": ""}
    return {**names, "implementation_name": "cpython", "platform_python_implementation": "CPython"}


@BY_VERSION
def test_everything_is_pinned(python: Python) -> None:
    pinned = pins(CHECKOUT)
    assert {
        wheel.name: wheel.version for wheel in wheels(CHECKOUT, python, Cache())
    }.items() <= pinned.items()


def test_each_python_has_the_same_compiled_parts() -> None:
    both = dependencies(CHECKOUT, PYTHONS, Cache())
    stems = {python: {name.split(".cpython-")[0] for name in both.compiled[python]} for python in PYTHONS}
    assert all(names == stems[PYTHONS[0]] for names in stems.values())
    assert {"pydantic_core/_pydantic_core", "isal/isal_zlib", "zstandard/backend_c"} <= stems[PYTHONS[0]]
    for files in both.compiled.values():
        assert {_machine(data) for name, data in files.items() if name.endswith(".so")} == {EM_X86_64}
        # What only a debugger reads is three quarters of some of them.
        assert sum(map(len, files.values())) < 9_000_000


def _machine(data: bytes) -> int:
    assert data[:4] == b"\x7fELF"
    return int(struct.unpack_from("<H", data, 18)[0])


def test_licences_come_along() -> None:
    found = wheels(CHECKOUT, PYTHONS[0], Cache())
    common = dependencies(CHECKOUT, PYTHONS, Cache()).common
    for wheel in found:
        names = [name for name in wheel.files if ".dist-info/" in name and "LICEN" in name.upper()]
        stated = re.search(r"^License(-Expression)?: .", wheel.metadata, re.MULTILINE)
        assert names or stated, wheel.path.name
        assert all(name in common for name in names)


def _build(target: Path) -> None:
    build_package(CHECKOUT, target, Cache())


@pytest.fixture(scope="module")
def package() -> Path:
    """The package, from an earlier run where nothing has changed: packing takes a while."""
    sources = [CHECKOUT / name for name in (*OWN_PACKAGES, "packaging", "constraints.txt", "pyproject.toml")]
    entry = Cache().get_or_build(
        "debian-package",
        content_key(*sources),
        _build,
    )
    (found,) = entry.iterdir()
    return found


@pytest.fixture(scope="module")
def tree(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the package would install."""
    root = tmp_path_factory.mktemp("root")
    tool("dpkg-deb", "--raw-extract", package, root)
    return root


def test_the_package_installs_its_own_files_only(package: Path, tree: Path) -> None:
    assert package.name == f"byoi-agent_{VERSION}_amd64.deb"
    tops = {"usr/bin", "usr/lib/byoi-agent", "usr/lib/systemd/system", "usr/share/doc/byoi-agent"}
    files = [str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()]
    assert {next((top for top in tops if name.startswith(f"{top}/")), "DEBIAN") for name in files} == {
        *tops,
        "DEBIAN",
    }
    # A unit that is enabled has a link to it; none is.
    assert not [path for path in tree.rglob("*") if path.is_symlink()]
    units = {path.name for path in (CHECKOUT / "packaging/systemd").iterdir()}
    assert {path.name for path in (tree / "usr/lib/systemd/system").iterdir()} == units


def test_the_package_asks_for_every_program_that_is_called(tree: Path) -> None:
    control = (tree / "DEBIAN/control").read_text()
    relations = re.findall(r"^(?:Depends|Recommends|Suggests): (.*)$", control, re.MULTILINE)
    named = {each.split()[0] for line in relations for each in line.split(", ")}
    assert {tool.debian for tool in TOOLS} - named == {"util-linux"}  # which every Debian has
    assert {"shim-signed", "grub-efi-amd64-signed", "libudev1", "python3"} <= named


def test_the_package_runs_with_the_systems_python(tree: Path, tmp_path: Path) -> None:
    text = (tree / "usr/bin/byoi-agent").read_text()
    launcher = tmp_path / "byoi-agent"
    launcher.write_text(text.replace("/usr/lib/byoi-agent", str(tree / "usr/lib/byoi-agent")))
    launcher.chmod(0o755)
    assert tool(launcher, "--version") == f"byoi-agent {VERSION}\n"
    assert '"defaultGroupId"' in tool(launcher, "disks", "--json")


@pytest.mark.parametrize("script", ["postinst", "prerm"])
def test_the_package_has_scripts_that_a_shell_can_read(tree: Path, script: str) -> None:
    subprocess.run(["/bin/sh", "-n", tree / "DEBIAN" / script], check=True)


def test_the_package_has_compiled_parts_for_its_pythons(tree: Path) -> None:
    names = [path.name for path in (tree / "usr/lib/byoi-agent/pydantic_core").glob("*.so")]
    tags = [f"cpython-3{python.minor}" for python in PACKAGE_PYTHONS]
    assert sorted(names) == [f"_pydantic_core.{tag}-x86_64-linux-gnu.so" for tag in tags]


def test_the_same_sources_give_the_same_package(package: Path, tmp_path: Path) -> None:
    assert digest(build_package(CHECKOUT, tmp_path, Cache())) == digest(package)


@pytest.mark.skipif(shutil.which("lintian") is None, reason="lintian is not installed")
def test_the_package_is_in_order(package: Path) -> None:
    command = ["lintian", "--fail-on", "error", str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
