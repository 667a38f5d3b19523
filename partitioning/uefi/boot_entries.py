"""Boot entries of UEFI firmware, read and changed with efibootmgr(8).

An entry names a partition by its number and its unique GUID (UEFI specification 2.10, section 10.3.5.1), so
an entry of a system that was overwritten leads nowhere, and firmware that meets one may stop and ask.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from partitioning.command import available, run
from partitioning.uefi.names import shown
from partitioning.uefi.variables import EFIVARS, is_read_only, variables_visible

TOOL = "efibootmgr"

_TIMEOUT = 30.0
_ENTRY = re.compile(r"^Boot([0-9A-F]{4})(\*| ) ?([^\t]*)(?:\t(.*))?$")
# Section 10.3.5.1: the number, the sort of table, and the GUID or the MBR's disk signature.
_GPT_PARTITION = re.compile(r"HD\(\d+,GPT,([0-9a-fA-F-]{36})[,)]")
_MBR_PARTITION = re.compile(r"HD\((\d+),MBR,0x([0-9a-fA-F]{1,8})[,)]")
# Sections 10.3.4.12 to 10.3.4.24.
_NETWORK = re.compile(r"\b(?:MAC|IPv4|IPv6|Uri)\(")
_NUMBERS = re.compile(r"^(BootCurrent|BootOrder): ([0-9A-F,]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootEntry:
    """One entry; ``partuuid`` is what Linux calls the partition by that it names, None for anything else."""

    number: str
    label: str
    active: bool
    path: str
    partuuid: str | None

    @property
    def is_network(self) -> bool:
        """Tell whether it boots from the network."""
        return _NETWORK.search(self.path) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootEntries:
    """What the firmware has: all entries, the order it tries them in, and the one this system came from."""

    entries: tuple[BootEntry, ...]
    order: tuple[str, ...]
    current: str | None


def why_unchangeable() -> str | None:
    """Give the reason why the firmware's entries can not be changed here; None where they can."""
    if not variables_visible():
        return f"the firmware's variables are not to be seen in {EFIVARS}"
    if is_read_only():
        return f"{EFIVARS} is mounted read-only"
    return None if available(TOOL) else f"{TOOL} is not installed"


def read_boot_entries() -> BootEntries:
    """Read all entries. Raises CommandError."""
    return parse_boot_entries(run([TOOL, "-v"], timeout=_TIMEOUT).stdout.decode(errors="replace"))


def parse_boot_entries(text: str) -> BootEntries:
    """Read what ``efibootmgr -v`` prints."""
    found = (_ENTRY.match(line) for line in text.splitlines())
    known = {name: tuple(numbers.split(",")) for name, numbers in _NUMBERS.findall(text)}
    return BootEntries(
        entries=tuple(_entry(match) for match in found if match is not None),
        order=known.get("BootOrder", ()),
        current=next(iter(known.get("BootCurrent", ())), None),
    )


def add_boot_entry(disk: Path, partition: int, *, loader: str, label: str, arguments: str = "") -> None:
    """Make an entry for ``loader`` (slashes separate) on a partition of ``disk`` and put it first.

    The disk has to carry its table already. Raises CommandError.
    """
    words = ["--create", "--disk", str(disk), "--part", str(partition)]
    words += ["--loader", shown(loader), "--label", label]
    # Loaders expect UTF-16, as the shim's fallback program would write it. They come from the image: behind
    # the two dashes nothing in them can be an option.
    words += ["--unicode", "--", arguments] if arguments else []
    run([TOOL, "--quiet", *words], timeout=_TIMEOUT)


def set_boot_order(numbers: Sequence[str]) -> None:
    """Set the order in which the firmware tries its entries. Raises CommandError."""
    run([TOOL, "--quiet", "--bootorder", ",".join(numbers)], timeout=_TIMEOUT)


def remove_boot_entry(number: str) -> None:
    """Take an entry away, also from the order. Raises CommandError."""
    run([TOOL, "--quiet", "--bootnum", number, "--delete-bootnum"], timeout=_TIMEOUT)


def _entry(match: re.Match[str]) -> BootEntry:
    path = match[4] or ""
    return BootEntry(
        number=match[1],
        label=match[3].strip(),
        active=match[2] == "*",
        path=path,
        partuuid=_partuuid(path),
    )


def _partuuid(path: str) -> str | None:
    if (gpt := _GPT_PARTITION.search(path)) is not None:
        return gpt[1].lower()
    if (mbr := _MBR_PARTITION.search(path)) is not None:
        return f"{int(mbr[2], 16):08x}-{int(mbr[1]):02x}"
    return None
