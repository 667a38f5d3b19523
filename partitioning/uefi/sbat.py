"""SBAT: generations of boot components, of which a shim refuses those that are too old.

The shim's documents SBAT.md and SbatLevel_Variable.txt: a section ``.sbat`` gives, a line each, component,
generation, vendor, package, version and URL; a level gives component, least generation, and in the first line
the date that orders levels. A shim carries levels in ``.sbatlevel``, and raises the one in the firmware.
"""

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SECTION = ".sbat"
LEVEL_SECTION = ".sbatlevel"

_LARGEST = 65536
_MOST_LINES = 1000
# A version (0), then the offsets of the level that is applied by itself and of the latest one.
_LEVEL_HEADER = struct.Struct("<III")
_OFFSETS_START = 4
_NUMBER = re.compile(r"\s*(\d{1,9})")


@dataclass(frozen=True, slots=True, kw_only=True)
class SbatLevel:
    """The least generation of each component; the later ``date`` (year to hour, as digits) counts."""

    date: str
    least: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TooOld:
    """A component of a program that a level does not let pass."""

    component: str
    generation: int
    least: int


def parse_level(data: bytes) -> SbatLevel:
    """Read a level; a line that is not one is skipped."""
    rows = _rows(data)
    date = next((row[2] for row in rows if row[0] == "sbat" and len(row) > 2), "")
    return SbatLevel(date=date, least={row[0]: _number(row[1]) for row in rows})


def built_in_level(section: bytes) -> SbatLevel | None:
    """Give the level that a shim applies by itself, out of its section ``.sbatlevel``."""
    if len(section) < _LEVEL_HEADER.size:
        return None
    version, automatic, _ = _LEVEL_HEADER.unpack_from(section)
    return parse_level(section[_OFFSETS_START + automatic :]) if version == 0 else None


def newest(levels: Iterable[SbatLevel | None]) -> SbatLevel | None:
    """Give the level of the latest date."""
    return max((level for level in levels if level is not None), key=lambda level: level.date, default=None)


def too_old(section: bytes, level: SbatLevel) -> TooOld | None:
    """Give the first component of a section ``.sbat`` that is older than ``level`` allows."""
    for component, generation, *_ in _rows(section):
        found, least = _number(generation), level.least.get(component, 0)
        if found < least:
            return TooOld(component=component, generation=found, least=least)
    return None


def _rows(data: bytes) -> list[list[str]]:
    text = data[:_LARGEST].split(b"\0")[0].decode("ascii", errors="replace")
    rows = (line.split(",") for line in text.splitlines()[:_MOST_LINES])
    return [row for row in rows if len(row) > 1]


def _number(text: str) -> int:
    # As the shim reads it: what is no number is 0.
    match = _NUMBER.match(text)
    return int(match[1]) if match else 0
