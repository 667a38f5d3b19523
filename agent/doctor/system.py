"""What the rescue system itself has to offer: Python, rights, udev, FUSE, a place for the status, a clock."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from agent import run_lock
from agent.doctor.check import Check, Result
from agent.doctor.server import Server
from agent.errors import Refused
from agent.run_directory import ENVIRONMENT_VARIABLE, chosen_run_directory

_UDEV_DATABASE = Path("/run/udev/data")
_FUSE = Path("/dev/fuse")
_EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""This program is younger than that, and so is every certificate that is valid now."""


def check_system(server: Server) -> Iterator[Check]:
    """Yield what does not depend on disks, firmware or network."""
    yield _check_python()
    yield _check_rights(server)
    yield _check_clock(datetime.now(UTC))
    yield _check_run_directory()
    yield _check_udev()
    if server.is_uefi:
        yield _check_fuse()


def _check_python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Check(name="Python", result=Result.OK, found=f"{version} ({sys.executable})")


def _check_rights(server: Server) -> Check:
    if server.is_root:
        return Check(name="rights", result=Result.OK, found="root")
    found = f"user {os.geteuid()}; the image can go to regular files only"
    return Check(name="rights", result=Result.WARNING, found=found, to_do="Start it as root.")


def _check_clock(now: datetime) -> Check:
    found = f"{now:%Y-%m-%d %H:%M} UTC"
    if now >= _EARLIEST:
        return Check(name="clock", result=Result.OK, found=found)
    return Check(
        name="clock",
        result=Result.WARNING,
        found=f"{found}, which is long ago; no https server will be trusted",
        to_do="Set it: date --utc --set '2026-11-30 12:00' (with the time that it is)",
    )


def _check_run_directory() -> Check:
    where = chosen_run_directory()
    there = next(path for path in (where.path, *where.path.parents) if path.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return Check(
            name="run directory",
            result=Result.MISSING,
            found=f"{where.path} can not be written to",
            to_do=f"Become its owner (sudo), or name another one in {ENVIRONMENT_VARIABLE}.",
        )
    if _is_held(where.lock):
        found = f"{where.path}; a deployment is running"
        to_do = "Watch it with: byoi-agent status --follow. Stop it with: byoi-agent cancel"
        return Check(name="run directory", result=Result.WARNING, found=found, to_do=to_do)
    return Check(name="run directory", result=Result.OK, found=str(where.path))


def _is_held(lock: Path) -> bool:
    try:
        return run_lock.is_held(lock)
    except Refused:
        return False


def _check_udev() -> Check:
    if _UDEV_DATABASE.is_dir() and any(_UDEV_DATABASE.iterdir()):
        return Check(name="udev", result=Result.OK, found="its database of disks is there")
    return Check(
        name="udev",
        result=Result.WARNING,
        found="its database is empty: disks are shown without models and serial numbers",
        to_do="Start it: systemctl start systemd-udevd && udevadm trigger && udevadm settle",
    )


def _check_fuse() -> Check:
    if _FUSE.is_char_device():
        return Check(
            name="FUSE", result=Result.OK, found=f"{_FUSE}, to look into images without a UEFI loader"
        )
    return Check(
        name="FUSE",
        result=Result.WARNING,
        found=f"there is no {_FUSE}: images without a UEFI loader can not be looked into",
        to_do="modprobe fuse",
    )
