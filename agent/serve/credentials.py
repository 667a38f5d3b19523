"""The keys that calls are signed with, and the page's password: a file that only its owner can read."""

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from agent.errors import Refused

DEFAULT_CREDENTIALS = Path("/etc/byoi-agent/credentials.toml")

_MOST = 64 << 10
# No plus sign: it separates what is signed, and where a key ends must not be a matter of opinion.
_KEY = Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=128, repr=False)

Name = Annotated[str, _KEY, Field(min_length=8)]
Secret = Annotated[str, _KEY, Field(min_length=16)]


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, hide_input_in_errors=True
    )


class Keys(_Part):
    """One set of keys, named as the official clients name them."""

    application_key: Name
    application_secret: Secret
    consumer_key: Secret


class Credentials(_Part):
    """Who may call, and what opens the page; without a password only this server itself sees the page."""

    keys: Annotated[tuple[Keys, ...], Field(min_length=1, max_length=64, strict=False)]
    page_password: Annotated[str, Field(min_length=12, max_length=256)] | None = Field(
        default=None, repr=False
    )

    @model_validator(mode="before")
    @classmethod
    def _one_set_alone(cls, document: Any) -> Any:
        """Take a single set of keys that stands by itself, without a list around it."""
        names = {to_camel(name) for name in Keys.model_fields}
        if not isinstance(document, dict) or "keys" in document or not names & document.keys():
            return document
        rest = {name: value for name, value in document.items() if name not in names}
        return {**rest, "keys": [{name: document[name] for name in names if name in document}]}

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        named = {(keys.application_key, keys.consumer_key) for keys in self.keys}
        if len(named) != len(self.keys):
            raise ValueError("two sets have the same applicationKey and consumerKey")
        return self


def read_credentials(path: Path) -> Credentials:
    """Read the file, TOML or (named *.json) JSON. Raises Refused."""
    text = _read(path)
    try:
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text.decode())
        return Credentials.model_validate(document)
    except ValidationError as error:
        raise _unusable(path, _faults(error), "See docs/api.md for what belongs into it.") from None
    except (ValueError, RecursionError):
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise _unusable(path, f"It is not valid {kind}.", "Correct it, or name another file.") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            found = os.fstat(stream.fileno())
            _check_owner(path, found)
            return stream.read(_MOST)
    except OSError as error:
        reason = f"{os.strerror(error.errno or 0)}."
        raise _unusable(path, reason, "Name the right file with --credentials.") from None


def _check_owner(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _unusable(path, "It is no regular file.", "Name a file with --credentials.")
    if found.st_mode & 0o077:
        raise _unusable(path, "Others can read or change it.", f"Close it with: chmod 600 {path}")
    if found.st_uid not in (0, os.geteuid()):
        raise _unusable(path, "It belongs to another user.", f"Take it with: chown {os.geteuid()} {path}")


def _faults(error: ValidationError) -> str:
    # Where and what, never the value.
    told = []
    for fault in error.errors(include_url=False, include_input=False)[:5]:
        place = ".".join(str(part) for part in fault["loc"])
        words = fault["msg"].removeprefix("Value error, ")
        told.append(f"{place}: {words}" if place else words)
    return f"{'; '.join(told)}."


def _unusable(path: Path, detail: str, hint: str) -> Refused:
    return Refused("The credentials can not be used.", detail=f"{path}: {detail}", hint=hint)
