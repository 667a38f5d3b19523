"""The package manager of this system, and the command with which it installs something.

Which distribution it is, os-release(5) tells.
"""

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from partitioning.packages import packages_of, tool_named
from partitioning.tool_path import available


class PackageManager(StrEnum):
    """One that the packages' names are known for, by the name of its command."""

    APT = "apt-get"
    DNF = "dnf"
    APK = "apk"


_OF_DISTRIBUTION = {
    "debian": PackageManager.APT,
    "ubuntu": PackageManager.APT,
    "fedora": PackageManager.DNF,
    "rhel": PackageManager.DNF,
    "centos": PackageManager.DNF,
    "alpine": PackageManager.APK,
}
_COMMANDS = {
    # A rescue system comes without package lists, or with old ones.
    PackageManager.APT: ("apt-get update", "apt-get install -y --no-install-recommends"),
    PackageManager.DNF: ("dnf install -y",),
    PackageManager.APK: ("apk add --update-cache",),
}


def os_release() -> Mapping[str, str]:
    """Give what the system says of itself; nothing where it does not."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def package_manager(
    release: Mapping[str, str] | None = None, *, has: Callable[[str], bool] = available
) -> PackageManager | None:
    """Give this system's package manager; None where it has none of the known.

    The distribution's own is preferred: there may be an ``apk`` on a Debian system. ``release`` is what
    os-release says, read when it is not given; ``has`` tells whether a command is there.
    """
    said = os_release() if release is None else release
    names = [said.get("ID", ""), *said.get("ID_LIKE", "").split()]
    own = [_OF_DISTRIBUTION[name] for name in names if name in _OF_DISTRIBUTION]
    return next((manager for manager in (*own, *PackageManager) if has(manager)), None)


def install_command(packages: Iterable[str], manager: PackageManager) -> str:
    """Give the line, to be pasted into a shell, that installs ``packages`` (this manager's names)."""
    before = "sudo " if os.geteuid() != 0 and available("sudo") else ""
    *first, last = (before + command for command in _COMMANDS[manager])
    return " && ".join([*first, f"{last} {' '.join(sorted(set(packages)))}"])


def package_for(tool: str, manager: PackageManager) -> str | None:
    """Give the package that brings ``tool``; None where this distribution has none."""
    known = tool_named(tool)
    if known is None:
        return tool
    names = {
        PackageManager.APT: known.debian,
        PackageManager.DNF: known.fedora,
        PackageManager.APK: known.alpine,
    }
    return names[manager]


def how_to_install(tools: Iterable[str], *, debian_packages: Iterable[str] = ()) -> str:
    """Say how to get ``tools`` here, as an instruction that ends in the command, without a full stop.

    ``debian_packages`` are wanted as well, for files in them that only Debian and its like have.
    """
    wanted, more = tuple(tools), set(debian_packages)
    manager = package_manager()
    packages = _packages(wanted, more, manager)
    if manager is None or packages is None:
        names = " ".join(sorted(packages_of(wanted) | more))
        return f"install on the rescue system what Debian calls {names}"
    return f"install what is missing: {install_command(packages, manager)}"


def _packages(tools: Iterable[str], debian: set[str], manager: PackageManager | None) -> set[str] | None:
    """Give this distribution's packages; None where it does not have them all."""
    if manager is None or (debian and manager is not PackageManager.APT):
        return None
    found = {package_for(tool, manager) for tool in tools}
    return None if None in found else {name for name in found if name} | debian


def install_hint(tools: Iterable[str]) -> str:
    """Say the same as an instruction of its own."""
    how = how_to_install(tools)
    return f"{how[0].upper()}{how[1:]}"
