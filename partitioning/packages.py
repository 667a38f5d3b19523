"""The programs of others that this project runs: what each is for, and which packages bring it.

Debian's names were looked up with apt-file, Fedora's in its spec files, Alpine's in its APKBUILDs. None
stands where a distribution has no package with a program of that name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    """When a program is needed."""

    QCOW2 = "qcow2"
    """For qcow2 images."""
    BOOT_ENTRY = "boot entry"
    """For the boot entry of UEFI firmware."""
    SIGNATURES = "signatures"
    """To judge signatures, which counts under Secure Boot."""
    ADDED_LOADER = "added loader"
    """For images without a loader for UEFI firmware."""
    OLD_VOLUMES = "old volumes"
    """Where volumes of an old system hold the disk."""
    CONVENIENCE = "convenience"
    """Never to deploy; there are other ways, or a person can do it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program. ``purpose`` says in a few words what it does here."""

    name: str
    purpose: str
    uses: tuple[Use, ...]
    debian: str
    fedora: str | None
    alpine: str | None


TOOLS = (
    Tool(
        name="qemu-img",
        purpose="checks qcow2 images",
        uses=(Use.QCOW2,),
        debian="qemu-utils",
        fedora="qemu-img",
        alpine="qemu-img",
    ),
    Tool(
        name="prlimit",
        purpose="bounds what reads an image",
        uses=(Use.QCOW2, Use.SIGNATURES, Use.ADDED_LOADER),
        debian="util-linux",
        fedora="util-linux",
        alpine="util-linux-misc",
    ),
    Tool(
        name="setpriv",
        purpose="takes the rights from what reads an image",
        uses=(Use.SIGNATURES, Use.ADDED_LOADER),
        debian="util-linux",
        fedora="util-linux",
        alpine="setpriv",
    ),
    Tool(
        name="efibootmgr",
        purpose="makes the firmware's boot entry",
        uses=(Use.BOOT_ENTRY,),
        debian="efibootmgr",
        fedora="efibootmgr",
        alpine="efibootmgr",
    ),
    Tool(
        name="openssl",
        purpose="judges signatures for Secure Boot",
        uses=(Use.SIGNATURES,),
        debian="openssl",
        fedora="openssl",
        alpine="openssl",
    ),
    Tool(
        name="grub-fstest",
        purpose="finds the menu of an image without a UEFI loader",
        uses=(Use.ADDED_LOADER,),
        debian="grub-common",
        fedora=None,  # grub2-tools-extra has it as grub2-fstest
        alpine="grub",
    ),
    Tool(
        name="qemu-storage-daemon",
        purpose="shows an image to grub-fstest",
        uses=(Use.ADDED_LOADER,),
        debian="qemu-system-common",
        fedora="qemu-img",
        alpine=None,
    ),
    Tool(
        name="umount",
        purpose="ends that again when the daemon has died",
        uses=(Use.ADDED_LOADER,),
        debian="mount",
        fedora="util-linux",
        alpine="umount",
    ),
    Tool(
        name="dmsetup",
        purpose="stops LVM and device mapper volumes",
        uses=(Use.OLD_VOLUMES,),
        debian="dmsetup",
        fedora="device-mapper",
        alpine="device-mapper",
    ),
    Tool(
        name="losetup",
        purpose="stops loop devices on a disk",
        uses=(Use.OLD_VOLUMES,),
        debian="mount",
        fedora="util-linux",
        alpine="losetup",
    ),
    Tool(
        name="mdadm",
        purpose="stops md arrays; without it the kernel does",
        uses=(Use.CONVENIENCE,),
        debian="mdadm",
        fedora="mdadm",
        alpine="mdadm",
    ),
    Tool(
        name="systemctl",
        purpose="reboots",
        uses=(Use.CONVENIENCE,),
        debian="systemd",
        fedora="systemd",
        alpine=None,
    ),
    Tool(
        name="reboot",
        purpose="reboots",
        uses=(Use.CONVENIENCE,),
        debian="systemd-sysv",
        fedora="systemd",
        alpine="busybox",
    ),
    Tool(
        name="busybox",
        purpose="reboots",
        uses=(Use.CONVENIENCE,),
        debian="busybox",
        fedora="busybox",
        alpine="busybox",
    ),
    Tool(
        name="ip",
        purpose="tells the server's addresses in boot mode",
        uses=(Use.CONVENIENCE,),
        debian="iproute2",
        fedora="iproute",
        alpine="iproute2",
    ),
)

_BY_NAME = {tool.name: tool for tool in TOOLS}


def tool_named(name: str) -> Tool | None:
    """Give what is known of a program; None for one that is not in the table."""
    return _BY_NAME.get(name)


def package_of(tool: str) -> str:
    """Give Debian's package that brings ``tool``; most are called like it."""
    known = tool_named(tool)
    return known.debian if known else tool


def packages_of(tools: Iterable[str]) -> set[str]:
    """Give Debian's packages that bring all of ``tools``."""
    return {package_of(tool) for tool in tools}
