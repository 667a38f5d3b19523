"""The file that pins disk groups. TOML; everything in it is optional:

    default = 2                  # the group that is meant when a request names none; 1 if absent

    [[group]]
    id = 1                       # a positive integer
    disks = [                    # a disk that fits any of these entries is in the group, in this order
        { serial = "S4YNNX0M123456" },
        { wwn = "0x5002538e00000001" },
        { by_path = "pci-0000:00:1f.2-ata-1" },
    ]

    [[group]]
    id = 2
    disks = [{ model = "SAMSUNG MZ*", size = "960 GB" }]      # all keys of an entry have to fit

    path      a name under /dev; links such as /dev/disk/by-id/… stay right over boots, /dev/sda does not
    by_path   the name under /dev/disk/by-path, or where the disk is plugged in as `disks` shows it
    serial    the serial number
    wwn       the worldwide name; with or without the prefix 0x, naa. or eui.
    model     the model; * and ? stand for any characters, upper and lower case are the same
    size      bytes as an integer, or text with a decimal unit, MB, GB or TB, which is compared in whole GB

A disk that fits two groups is in the one that stands first. Pinned ids are not given to other groups.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from partitioning.disk_facts import worldwide_name
from partitioning.disks import Disk
from partitioning.errors import DiskError

_GB = 10**9
_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(MB|GB|TB)")


class GroupConfigInvalid(DiskError):
    """The file that pins disk groups can not be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskMatch:
    """What a disk has to be like; every value that is given has to fit.

    ``size`` is bytes; ``size_gb`` whole gigabytes (10^9), for a size given as it is sold.
    """

    path: str | None = None
    by_path: str | None = None
    serial: str | None = None
    wwn: str | None = None
    model: str | None = None
    size: int | None = None
    size_gb: int | None = None

    def matches(self, disk: Disk) -> bool:
        """Tell whether ``disk`` fits."""
        tests = {
            "path": lambda: self.path in (str(disk.path), *disk.by_id, *disk.by_path),
            "by_path": lambda: self.by_path in _locations(disk),
            "serial": lambda: self.serial == disk.serial,
            "wwn": lambda: disk.wwn is not None and _same_name(self.wwn or "", disk.wwn),
            "model": lambda: fnmatchcase(_plain(disk.model or ""), _plain(self.model or "")),
            "size": lambda: self.size == disk.size,
            "size_gb": lambda: self.size_gb == round(disk.size / _GB),
        }
        given = [key for key in tests if getattr(self, key) is not None]
        return bool(given) and all(tests[key]() for key in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedGroup:
    """A group whose id is fixed by the config file."""

    id: int
    matches: tuple[DiskMatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConfig:
    """What the config file says; without one, the default group is 1 and nothing is pinned."""

    default: int = 1
    pinned: tuple[PinnedGroup, ...] = ()


def load(path: Path) -> GroupConfig:
    """Read the config file at ``path``. Raises GroupConfigInvalid, which names the key."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _invalid(path, f"It can not be read: {error.strerror}.") from error
    except ValueError as error:
        raise _invalid(path, f"It is not TOML: {error}.") from error
    try:
        return parse(document)
    except ValueError as error:
        raise _invalid(path, f"{error}.") from error


def parse(document: Mapping[str, Any]) -> GroupConfig:
    """Turn the parsed TOML into a GroupConfig. Raises ValueError, which names the key."""
    _only(document, ("default", "group"), "")
    groups = _list(document.get("group", []), "group")
    pinned = tuple(_group(group, f"group[{number}]") for number, group in enumerate(groups, 1))
    for number, group in enumerate(pinned, 1):
        if group.id in [other.id for other in pinned[: number - 1]]:
            raise ValueError(f"group[{number}].id: {group.id} is there already")
    return GroupConfig(default=_id(document.get("default", 1), "default"), pinned=pinned)


def _group(value: object, where: str) -> PinnedGroup:
    table = _table(value, where)
    _only(table, ("id", "disks"), f"{where}.")
    if "id" not in table:
        raise ValueError(f"{where}.id is missing")
    entries = _list(table.get("disks", []), f"{where}.disks")
    if not entries:
        raise ValueError(f"{where}.disks is missing or empty")
    matches = (_match(entry, f"{where}.disks[{number}]") for number, entry in enumerate(entries, 1))
    return PinnedGroup(id=_id(table["id"], f"{where}.id"), matches=tuple(matches))


def _match(value: object, where: str) -> DiskMatch:
    table = _table(value, where)
    _only(table, [field.name for field in fields(DiskMatch) if field.name != "size_gb"], f"{where}.")
    if not table:
        raise ValueError(f"{where} is empty")
    values: dict[str, Any] = {}
    for key, given in table.items():
        path = f"{where}.{key}"
        values |= _size(given, path) if key == "size" else {key: _text(given, path)}
    return DiskMatch(**values)


def _size(value: object, where: str) -> dict[str, int]:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return {"size": value}
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'{where} has to be bytes as an integer, or text like "960 GB"')
    return {"size_gb": round(float(match[1]) * _UNITS[match[2]] / _GB)}


def _id(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{where} has to be a positive integer")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where} has to be text")
    return value.strip()


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where} has to be a list")  # noqa: TRY004 - one type for the caller
    return value


def _table(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} has to be a table")  # noqa: TRY004
    return value


def _only(table: Mapping[str, Any], known: tuple[str, ...] | list[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"{where}{key} is not known; known are {', '.join(known)}")


def _locations(disk: Disk) -> tuple[str, ...]:
    links = (link.removeprefix("/dev/disk/by-path/") for link in disk.by_path)
    return (disk.location, *disk.by_path, *links)


def _same_name(left: str, right: str) -> bool:
    return worldwide_name(left) == worldwide_name(right)


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").lower().split())


def _invalid(path: Path, detail: str) -> GroupConfigInvalid:
    return GroupConfigInvalid(
        f"The disk group file {path} can not be used.",
        detail=detail,
        hint="Correct the file, or leave it out: groups are then formed by kind, size and controller.",
    )
