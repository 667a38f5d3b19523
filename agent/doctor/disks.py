"""The disks that an image could go to, and who holds them."""

from collections.abc import Iterator

from agent.doctor.check import Check, Result
from agent.doctor.server import Release, Server
from partitioning.errors import ExplainedError
from partitioning.groups import DiskGroup


def check_disks(server: Server) -> Iterator[Check]:
    """Yield a check for each group; the one that is meant when none is named counts more."""
    worst = Result.MISSING if server.is_root else Result.WARNING
    if server.no_disks_known is not None:
        yield Check(
            name="disks",
            result=worst,
            found=f"they can not be listed: {server.no_disks_known}",
            to_do="Install the library libudev (Debian's package libudev1).",
        )
        return
    if not any(group.id == server.default_group for group in server.groups):
        yield _no_group(server, worst)
    for group in server.groups:
        yield _check_group(group, server, worst if group.id == server.default_group else Result.WARNING)


def _no_group(server: Server, worst: Result) -> Check:
    if server.groups:
        found = f"there is no group {server.default_group}, which is the default"
        return Check(name="disks", result=worst, found=found, to_do="Name another one: --disk-group-id")
    return Check(
        name="disks",
        result=worst,
        found="there is none that an image could go to",
        to_do="See why with: byoi-agent disks. Drivers of controllers are modules of the kernel (modprobe).",
    )


def _check_group(group: DiskGroup, server: Server, worst: Result) -> Check:
    name = f"disk group {group.id}"
    default = "default; " if group.id == server.default_group else ""
    if not group.disks:
        found = f"{default}none of the disks that it is pinned to is there"
        return Check(name=name, result=worst, found=found, to_do="Correct the file that pins disk groups.")
    release = server.releases[group.id]
    found = f"{default}{group.disks[0].describe()}{_others(group)}{_held(release)}"
    if isinstance(release, ExplainedError):
        return Check(name=name, result=worst, found=found, to_do=release.hint)
    return Check(name=name, result=Result.OK, found=found)


def _others(group: DiskGroup) -> str:
    count = len(group.disks) - 1
    return f" (and {count} more)" if count else ""


def _held(release: Release) -> str:
    if isinstance(release, ExplainedError):
        return f". {release.message} {release.detail}".rstrip(".")
    return "".join(f"; deploy will {action.line}" for action in release.actions)
