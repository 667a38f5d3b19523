"""One thing that was looked at, and how it was found."""

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """What follows from it."""

    OK = "ok"
    WARNING = "warning"
    """Some deployments can not be carried out, or not as well."""
    MISSING = "missing"
    """Hardly any deployment can be carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """``found`` says in one line how it is, ``to_do`` what to do about it, where there is something.

    ``tools`` and ``debian_packages`` are what has to be installed for it; the latter are for files that only
    Debian and its like have packages of.
    """

    name: str
    result: Result
    found: str
    to_do: str = ""
    tools: tuple[str, ...] = ()
    debian_packages: tuple[str, ...] = ()
