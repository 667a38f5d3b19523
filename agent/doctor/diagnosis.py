"""All checks in their order, and what follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.doctor.check import Check, Result
from agent.doctor.disks import check_disks
from agent.doctor.firmware import check_firmware
from agent.doctor.memory import check_memory
from agent.doctor.network import check_network
from agent.doctor.server import look_at_server
from agent.doctor.system import check_system
from agent.doctor.tools import check_tools
from partitioning.group_config import GroupConfig
from partitioning.package_manager import install_command, package_for, package_manager
from partitioning.packages import packages_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """``install`` is the line that installs all that is missing and can be installed, None where nothing is.

    Where the package manager is not known there is none, and ``debian_names`` says what would be needed.
    """

    checks: tuple[Check, ...]
    install: str | None
    debian_names: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        """Tell whether a deployment can be carried out."""
        return not self.with_result(Result.MISSING)

    def with_result(self, result: Result) -> list[Check]:
        """Give the checks that ended so."""
        return [check for check in self.checks if check.result is result]


def diagnose(config: GroupConfig) -> Diagnosis:
    """Look at everything; nothing is changed, and nothing is sent."""
    server = look_at_server(config)
    return conclude(
        (
            *check_system(server),
            *check_firmware(server),
            *check_memory(),
            *check_disks(server),
            *check_network(),
            *check_tools(server),
        )
    )


def conclude(checks: Sequence[Check]) -> Diagnosis:
    """Work out what has to be installed."""
    tools = [tool for check in checks for tool in check.tools]
    debian = {package for check in checks for package in check.debian_packages}
    manager = package_manager()
    wanted = {package_for(tool, manager) for tool in tools} | debian if manager else set()
    packages = sorted(name for name in wanted if name)
    return Diagnosis(
        checks=tuple(checks),
        install=install_command(packages, manager) if manager and packages else None,
        debian_names=tuple(sorted(packages_of(tools) | debian)),
    )
