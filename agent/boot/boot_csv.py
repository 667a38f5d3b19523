"""BOOT*.CSV beside a shim: which loader a distribution wants started.

The shim's fallback program reads them (shim, README.fallback): UTF-16 with or without a byte order mark, one
line for each loader, its fields the file's name in the same directory, the label, arguments and a comment.
"""

from dataclasses import dataclass

from partitioning.uefi.names import csv_names

_MOST_LINES = 16
_MARKS = (b"\xff\xfe", b"\xfe\xff")


def is_boot_csv(name: str) -> bool:
    """Tell whether a file of this name is read: the one for this machine, or one for all."""
    return name.upper() in csv_names()


@dataclass(frozen=True, slots=True)
class NamedLoader:
    """A loader's file name, and the arguments that it is started with."""

    name: str
    arguments: str = ""


def loaders_of(data: bytes) -> list[NamedLoader]:
    """Give the loaders in the order they stand in; what makes no sense is passed over.

    Neither a name nor arguments have letters that can not be printed: both reach a command and its log.
    """
    lines = (line.split(",") for line in _text(data).splitlines()[:_MOST_LINES])
    named = [NamedLoader(fields[0].strip(), fields[2].strip() if len(fields) > 2 else "") for fields in lines]
    return [one for one in named if _is_file_name(one.name) and one.arguments.isprintable()]


def _is_file_name(name: str) -> bool:
    return bool(name) and name.isprintable() and not set(name) & set("/\\:\ufffd")


def _text(data: bytes) -> str:
    if data.startswith(_MARKS):
        return data.decode("utf-16", errors="replace")
    # Without a mark it is little-endian, as everything in UEFI; some were written as plain ASCII.
    return data.decode("utf-16-le" if b"\0" in data else "ascii", errors="replace")
