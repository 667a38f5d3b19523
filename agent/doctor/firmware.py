"""The firmware that has started this system, and whether its memory of boot entries can be changed."""

from collections.abc import Iterator

from agent.doctor.check import Check, Result
from agent.doctor.server import Server
from partitioning.uefi.secure_boot import SecureBootState
from partitioning.uefi.variables import EFIVARS, is_read_only, variables_visible


def check_firmware(server: Server) -> Iterator[Check]:
    """Yield what kind it is, and for UEFI what is to be known of it."""
    kind = "UEFI" if server.is_uefi else "legacy (BIOS)"
    yield Check(name="firmware", result=Result.OK, found=f"{kind}; images have to boot with it")
    if server.is_uefi:
        yield _check_variables()
        yield _check_secure_boot(server.secure_boot)


def _check_variables() -> Check:
    name = "firmware variables"
    if not variables_visible():
        return Check(
            name=name,
            result=Result.WARNING,
            found="they can not be seen, so no boot entry can be made",
            to_do=f"mount -t efivarfs efivarfs {EFIVARS}",
        )
    if is_read_only():
        return Check(
            name=name,
            result=Result.WARNING,
            found="they can not be changed, so no boot entry can be made",
            to_do=f"mount -o remount,rw {EFIVARS}",
        )
    return Check(name=name, result=Result.OK, found="a boot entry can be made")


def _check_secure_boot(state: SecureBootState | None) -> Check:
    found = {
        SecureBootState.ON: "on; images need a signed loader and kernel",
        SecureBootState.OFF: "off",
    }.get(state or SecureBootState.UNKNOWN, "it can not be told whether it is on")
    return Check(name="Secure Boot", result=Result.OK, found=found)
