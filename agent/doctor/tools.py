"""The programs of others: which are missing here, and whether that matters on this server."""

from collections.abc import Iterator

from agent.boot.loader_files import OTHER_DIRECTORY_VARIABLE, missing_loader_packages
from agent.doctor.check import Check, Result
from agent.doctor.server import Server
from agent.reboot import TOOLS as TOOLS_TO_REBOOT
from partitioning.command import available
from partitioning.package_manager import PackageManager, package_for, package_manager
from partitioning.packages import TOOLS, Tool, Use
from partitioning.release import ReleasePlan
from partitioning.uefi.secure_boot import SecureBootState


def check_tools(server: Server) -> Iterator[Check]:
    """Yield a check for each program, and for the loaders that are put into images."""
    manager = package_manager()
    to_release = tools_to_release(server)
    for tool in TOOLS:
        if tool.name not in TOOLS_TO_REBOOT:
            yield _check(tool, _without(tool, server, to_release), manager)
    if server.is_uefi:
        yield _check_loaders(manager)
    yield _check_reboot()


def tools_to_release(server: Server) -> set[str]:
    """Give the programs that free the disks which hold old volumes now."""
    plans = [plan for plan in server.releases.values() if isinstance(plan, ReleasePlan)]
    return {action.argv[0] for plan in plans for action in plan.actions if action.argv}


def _without(tool: Tool, server: Server, to_release: set[str]) -> Result:
    """Say what it means on this server when ``tool`` is missing."""
    if Use.QCOW2 in tool.uses or tool.name in to_release:
        return Result.MISSING
    matters = {Use.BOOT_ENTRY, Use.ADDED_LOADER} if server.is_uefi else set()
    if server.secure_boot in (SecureBootState.ON, SecureBootState.UNKNOWN):
        matters.add(Use.SIGNATURES)
    return Result.WARNING if matters.intersection(tool.uses) else Result.OK


def _check(tool: Tool, without: Result, manager: PackageManager | None) -> Check:
    if available(tool.name):
        return Check(name=tool.name, result=Result.OK, found=tool.purpose)
    if without is Result.OK:
        found = f"not installed, and not needed here: {tool.purpose}"
        return Check(name=tool.name, result=Result.OK, found=found)
    found = f"not installed: {tool.purpose}"
    if manager is not None and package_for(tool.name, manager) is None:
        # Naming a package that is not there would send people looking for it.
        to_do = f"This distribution has no package with it. {_way_around(tool)}"
        return Check(name=tool.name, result=without, found=found, to_do=to_do)
    return Check(name=tool.name, result=without, found=found, tools=(tool.name,))


def _way_around(tool: Tool) -> str:
    if Use.ADDED_LOADER in tool.uses:
        return "Use images that are made for UEFI, or a rescue system of Debian or Ubuntu."
    return "Use a rescue system of Debian or Ubuntu."


def _check_loaders(manager: PackageManager | None) -> Check:
    missing = tuple(sorted(missing_loader_packages()))
    if not missing:
        found = "there, for images without a UEFI loader"
        return Check(name="signed loaders", result=Result.OK, found=found)
    found = "not installed: shim and GRUB, for images without a UEFI loader"
    if manager is PackageManager.APT:
        return Check(name="signed loaders", result=Result.WARNING, found=found, debian_packages=missing)
    to_do = f"Use images that are made for UEFI, or name a directory with them in {OTHER_DIRECTORY_VARIABLE}."
    return Check(name="signed loaders", result=Result.WARNING, found=found, to_do=to_do)


def _check_reboot() -> Check:
    by = next((tool for tool in TOOLS_TO_REBOOT if available(tool)), None)
    if by is not None:
        return Check(name="reboot", result=Result.OK, found=f"with {by}")
    found = f"none of {', '.join(TOOLS_TO_REBOOT)} is installed"
    return Check(name="reboot", result=Result.WARNING, found=found, to_do="Reboot the server by hand.")
