import ast
import re

import pytest

from agent.doctor import tools
from agent.images import grub_look, qemu_img, raw_view
from partitioning.package_manager import (
    PackageManager,
    how_to_install,
    install_command,
    install_hint,
    package_for,
    package_manager,
)
from partitioning.packages import TOOLS, package_of, tool_named
from tests.unit.called_tools import Module, Unclear, called_in, modules

# These ask for programs whose names they get from the table, or for package managers.
NOT_LOOKED_INTO = {tools.__name__, "partitioning.package_manager"}
# The gate's own words in front of others.
OF_THE_GATE = {"prlimit", "setpriv"}

DEBIAN, UBUNTU = {"ID": "debian"}, {"ID": "ubuntu", "ID_LIKE": "debian"}
ROCKY, ALPINE = {"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, {"ID": "alpine"}


def test_every_program_that_is_called_is_in_the_table_and_no_other() -> None:
    called = {module.name: called_in(module) for module in modules() if module.name not in NOT_LOOKED_INTO}
    # That the sources are read at all.
    assert called[qemu_img.__name__] == {"qemu-img", "prlimit"}
    assert called[grub_look.__name__] == {"setpriv", "grub-fstest"}
    assert called[raw_view.__name__] == {"qemu-storage-daemon", "umount"}
    assert set().union(*called.values()) | OF_THE_GATE == {tool.name for tool in TOOLS}


def test_a_new_call_is_found() -> None:
    source = "from partitioning.command import run\ndef f(fd):\n    argv = ['new-tool', fd]\n    run(argv)\n"
    assert called_in(Module("agent", ast.parse(source))) == {"new-tool"}


def test_a_call_that_can_not_be_told_is_an_error() -> None:
    source = "from partitioning.command import run\ndef f(words):\n    run(words.split())\n"
    with pytest.raises(Unclear, match="agent, line 3"):
        called_in(Module("agent", ast.parse(source)))


def test_the_table_says_what_for() -> None:
    names = [tool.name for tool in TOOLS]
    assert len(names) == len(set(names))
    assert all(tool.uses and re.fullmatch(r"[a-z][^.]+", tool.purpose) for tool in TOOLS)
    assert tool_named("no-such-tool") is None


@pytest.mark.parametrize(
    ("release", "there", "manager"),
    [
        (DEBIAN, {"apt-get"}, PackageManager.APT),
        (UBUNTU, {"apt-get", "dnf", "apk"}, PackageManager.APT),
        (ROCKY, {"apt-get", "dnf"}, PackageManager.DNF),
        ({"ID": "fedora"}, {"dnf"}, PackageManager.DNF),
        (ALPINE, {"apk"}, PackageManager.APK),
        # A provider's own rescue system, made of Debian's packages.
        ({"ID": "rescue"}, {"apt-get"}, PackageManager.APT),
        ({}, {"dnf"}, PackageManager.DNF),
        ({"ID": "arch"}, set(), None),
        (DEBIAN, set(), None),
    ],
)
def test_the_package_manager(
    release: dict[str, str], there: set[str], manager: PackageManager | None
) -> None:
    assert package_manager(release, has=there.__contains__) == manager


@pytest.mark.parametrize(
    ("manager", "line"),
    [
        (
            PackageManager.APT,
            "apt-get update && apt-get install -y --no-install-recommends efibootmgr qemu-utils",
        ),
        (PackageManager.DNF, "dnf install -y efibootmgr qemu-img"),
        (PackageManager.APK, "apk add --update-cache efibootmgr qemu-img"),
    ],
)
def test_the_command(manager: PackageManager, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    packages = [package_for(tool, manager) or "" for tool in ("qemu-img", "efibootmgr", "qemu-img")]
    assert install_command(packages, manager) == line


def test_the_command_for_a_user_who_is_not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("partitioning.package_manager.available", lambda tool: True)
    line = install_command(["a"], PackageManager.APT)
    assert line == "sudo apt-get update && sudo apt-get install -y --no-install-recommends a"
    monkeypatch.setattr("partitioning.package_manager.available", lambda tool: False)
    assert "sudo" not in install_command(["a"], PackageManager.APT)


def on(monkeypatch: pytest.MonkeyPatch, manager: PackageManager | None) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("partitioning.package_manager.package_manager", lambda: manager)


def test_a_hint_ends_in_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, PackageManager.APT)
    line = "apt-get update && apt-get install -y --no-install-recommends grub-common shim-signed"
    assert (
        how_to_install(["grub-fstest"], debian_packages=["shim-signed"]) == f"install what is missing: {line}"
    )
    assert install_hint(["qemu-img"]).startswith("Install what is missing: apt-get update && ")


@pytest.mark.parametrize("manager", [PackageManager.DNF, None])
def test_a_hint_where_there_is_no_package(
    manager: PackageManager | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, manager)
    said = "install on the rescue system what Debian calls grub-common"
    assert how_to_install(["grub-fstest"]) == said
    assert how_to_install([], debian_packages=["shim-signed"]).endswith("what Debian calls shim-signed")


def test_what_is_not_in_the_table_is_called_like_its_package() -> None:
    assert package_of("no-such-tool") == "no-such-tool"
    assert package_for("no-such-tool", PackageManager.DNF) == "no-such-tool"
