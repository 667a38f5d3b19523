"""The Debian packages that the machine running the test bed needs, and how to get those that are missing.

Imports nothing but the standard library: it runs before there is any virtual environment.
"""

from __future__ import annotations

import os
import subprocess

from .errors import TestbedError

HOST_PACKAGES = (
    "binutils",
    "btrfs-progs",
    "bzip2",
    "chromium",
    "cpio",
    "curl",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "gdisk",
    "groff-base",
    "grub-common",
    "ipxe-qemu",
    "lz4",
    "mmdebstrap",
    "mount",
    "mtools",
    "openssh-client",
    "openssl",
    "ovmf",
    "python3",
    "python3-pip",
    "python3-venv",
    "qemu-system-common",
    "qemu-system-x86",
    "qemu-utils",
    "sbsigntool",
    "squashfs-tools",
    "xfsprogs",
    "xorriso",
    "xz-utils",
    "zstd",
)


def missing_packages(names: tuple[str, ...] = HOST_PACKAGES) -> list[str]:
    """Return those of `names` that dpkg does not know as installed."""
    query = ("dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *names)
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    installed = {line.split()[0] for line in answer.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in names if name not in installed]


def install_missing(names: tuple[str, ...] = HOST_PACKAGES) -> list[str]:
    """Install what is missing of `names` and return it; where nothing is missing apt is not called at all."""
    missing = missing_packages(names)
    if missing:
        _apt_get("update")
        _apt_get("install", "--yes", "--no-install-recommends", *missing)
    return missing


def _apt_get(*arguments: str) -> None:
    prefix = () if os.geteuid() == 0 else ("sudo",)
    # `env` after sudo: sudo drops the caller's environment.
    command = (*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", *arguments)
    if subprocess.run(command, check=False).returncode != 0:
        raise TestbedError(
            f"apt-get {arguments[0]} failed",
            hint="The test bed needs root (or sudo) on a Debian machine and a package source that answers.",
        )


if __name__ == "__main__":
    install_missing()
