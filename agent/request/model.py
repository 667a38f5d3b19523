"""The deployment request as frozen values.

The names outside are those of the documented request (``URL``, ``checkSumType``, …); a program that
speaks to OVHcloud's API sends the same object. What the agent adds of its own stands in ``options``.
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from agent import messages
from agent.fetch.digest import ChecksumKind
from agent.fetch.source import RESERVED_HEADERS
from agent.request import ssh_keys


class ImageType(StrEnum):
    """The types of images."""

    QCOW2 = "qcow2"
    RAW = "raw"
    OVA = "ova"


class BootType(StrEnum):
    """How the server's firmware is to start the disk."""

    AUTO = "auto"
    LEGACY = "legacy"
    UEFI = "uefi"


class Staging(StrEnum):
    """Where the image is kept between the network and the disk."""

    AUTO = "auto"
    MEMORY = "memory"
    STREAM = "stream"


class Erase(StrEnum):
    """What is erased before the image is written."""

    QUICK = "quick"
    FULL = "full"


class Rivals(StrEnum):
    """What is done with that on other disks which would be taken for the new system at boot."""

    WARN = "warn"
    ERASE = "erase"


MAX_USER_DATA = 1 << 20
"""Bytes of UTF-8 (OpenStack takes 64 KiB): the ConfigDrive is made, and read back, in memory."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def _check_characters(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair, which is no character") from None
    return value


Text = Annotated[str, AfterValidator(_check_characters)]
"""A string that can be written as UTF-8. A JSON string can hold what is none (RFC 8259, section 8.2)."""


def _check_user_data(value: str) -> str:
    # U+DC80 to U+DCFF carry the bytes of data that is no UTF-8; see agent/cli/request_input.py.
    try:
        size = len(value.encode(errors="surrogateescape"))
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair, which is no character") from None
    if size > MAX_USER_DATA:
        raise ValueError(f"it has {size} bytes, and {MAX_USER_DATA} are the most there may be")
    return value


def _check_http_url(value: str, known: str = "http and https") -> str:
    _refuse_space(value)
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("it is not a URL") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"only {known} are known")
    if not parts.hostname:
        raise ValueError("it names no host")
    return value


def _refuse_space(value: str) -> None:
    if any(ord(c) <= 0x20 or ord(c) == 0x7F for c in value):
        raise ValueError("it holds white space or control characters")


def _check_image_url(value: str) -> str:
    if not value.startswith("file:"):
        return _check_http_url(value, known="http, https and file")
    _refuse_space(value)
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError("it is not a URL") from None
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ValueError("a file URL is file:// and the absolute path of a file on this server")
    if parts.query or parts.fragment or "\0" in unquote(parts.path):
        raise ValueError("in a file URL, ? is written %3F, and # is written %23")
    return value


def _check_header_name(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError("it is not the name of an HTTP header")
    if value.lower() in RESERVED_HEADERS:
        raise ValueError(f"the agent sets {value} itself")
    return value


def _check_header_value(value: str) -> str:
    if any((ord(c) < 0x20 and c != "\t") or ord(c) == 0x7F or ord(c) > 0xFF for c in value):
        raise ValueError("it holds characters that a header can not carry")
    if value != value.strip():
        raise ValueError("it begins or ends with white space")
    return value


def _check_hostname(value: str) -> str:
    if len(value) > 253 or not all(_LABEL.fullmatch(label) for label in value.split(".")):
        raise ValueError("it is not a host name (letters, digits and hyphens, in labels of at most 63)")
    return value


def _check_absolute_path(value: str) -> str:
    if "\0" in value or not PurePosixPath(value).is_absolute():
        raise ValueError("it is not an absolute path")
    return value


def _check_loader_path(value: str) -> str:
    names = value.replace("\\", "/").strip("/").split("/")
    if any(name in ("", ".", "..") or any(ord(c) < 0x20 or c in ':*?"<>|' for c in name) for name in names):
        raise ValueError("it is not the path of a file on an EFI system partition")
    return value


LoaderPath = Annotated[
    str, Field(max_length=255), AfterValidator(_check_characters), AfterValidator(_check_loader_path)
]
"""A path on an EFI system partition; either slash separates."""


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, hide_input_in_errors=True
    )


class HttpHeader(_Part):
    """One header that is sent with the download. The value is a secret."""

    key: Annotated[str, AfterValidator(_check_header_name)]
    value: Annotated[str, AfterValidator(_check_header_value)] = Field(repr=False)


class UserMetadata(_Part):
    """One entry of the ConfigDrive's ``meta``."""

    key: Annotated[str, Field(min_length=1)]
    value: Text = Field(repr=False)


class ConfigDriveRequest(_Part):
    """What the ConfigDrive is to hold; with ``enable`` false no partition is made."""

    enable: bool = Field(description="With false no partition is made.")
    hostname: Annotated[str, AfterValidator(_check_hostname)] | None = Field(
        default=None, description="The server's host name; absent leaves the image's own."
    )
    ssh_key: Annotated[Text, AfterValidator(ssh_keys.check)] | None = Field(
        default=None, description="One or more OpenSSH public keys, one a line."
    )
    user_data: Annotated[str, AfterValidator(_check_user_data)] | None = Field(
        default=None,
        repr=False,
        description="A script or cloud-config, at most 1 MiB in UTF-8; stored byte for byte. A secret.",
    )
    user_metadatas: tuple[UserMetadata, ...] | None = Field(
        default=None,
        strict=False,
        fail_fast=True,
        description="Becomes `meta` in meta_data.json; each key once.",
    )

    @model_validator(mode="after")
    def _keys_once(self) -> Self:
        seen = set()
        for entry in self.user_metadatas or ():
            if entry.key in seen:
                raise ValueError(f"userMetadatas holds the key {entry.key[:64]} more than once")
            seen.add(entry.key)
        return self


class Options(_Part):
    """What the agent adds of its own. Each field has a flag of the same name on the command line."""

    boot_type: BootType = Field(
        default=BootType.AUTO, strict=False, description="auto: what this system booted with."
    )
    disk: Annotated[Text, AfterValidator(_check_absolute_path)] | None = Field(
        default=None,
        description="Absolute path of the target: a block device or a regular file.",
    )
    sector_size: Literal[512, 4096] | None = Field(
        default=None, description="Logical sector size in bytes, when the disk is a regular file."
    )
    efi_bootloader_path: LoaderPath | None = Field(
        default=None,
        description="The loader on the image's EFI system partition that UEFI firmware is to start.",
    )
    rivals: Rivals = Field(
        default=Rivals.WARN,
        strict=False,
        description="What on other disks would be taken for the new system at boot: warn of it, or erase it.",
    )
    staging: Staging = Field(
        default=Staging.AUTO,
        strict=False,
        description="memory: all of the image is fetched and checked before anything is written."
        " stream: it is written while it comes, in little memory. auto: memory where it fits.",
    )
    erase: Erase = Field(
        default=Erase.QUICK, strict=False, description="quick: old signatures. full: the whole disk."
    )
    verify: bool = Field(
        default=False, description="Read everything back from the disk and compare it with the image."
    )
    reboot: bool | None = Field(
        default=None,
        description="Reboot when done; refused where the disk is a file. By hand the default is no.",
    )
    proxy: Annotated[Text, AfterValidator(_check_http_url)] | None = Field(
        default=None, repr=False, description="Proxy for the download; otherwise the usual variables apply."
    )
    mirrors: tuple[Annotated[Text, AfterValidator(_check_image_url)], ...] = Field(
        default=(),
        strict=False,
        fail_fast=True,
        max_length=16,
        repr=False,
        description="URLs of the same file, tried in turn where the URL fails. httpHeader is sent to none."
        " With checkSum one takes over in the middle of the file, without it from the beginning.",
    )
    ca_file: Annotated[Text, AfterValidator(_check_absolute_path)] | None = Field(
        default=None,
        description="Absolute path of certificates (PEM) that the server is checked against.",
    )
    fetch_retries: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=6,
        description="How often in a row the download is taken up again without 64 KiB more having come.",
    )
    stall_timeout: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=60, description="Seconds without data after which the connection is given up."
    )
    service_name: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None, description="The server's name in the status; the default is this system's host name."
    )


class Request(_Part):
    """One deployment request."""

    url: Annotated[Text, AfterValidator(_check_image_url)] = Field(
        alias="URL",
        repr=False,
        description="Where the image is: http, https, or file, on a medium that is mounted: file:///mnt/image.qcow2."
        " User info and query are secrets.",
    )
    type: ImageType = Field(strict=False, description="The image's format; the file has to be of it.")
    check_sum: str | None = Field(
        default=None,
        description="The sum of the file as it is delivered, in hexadecimal digits, upper or lower case.",
    )
    check_sum_type: ChecksumKind | None = Field(
        default=None, strict=False, description="What kind of sum `checkSum` is."
    )
    description: Annotated[str, Field(max_length=1000)] | None = Field(
        default=None, description="The image's name, shown in the status."
    )
    disk_group_id: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Absent, null or 0 means the default group."
    )
    http_header: tuple[HttpHeader, ...] | None = Field(
        default=None,
        strict=False,
        fail_fast=True,
        description="Headers that are sent with the download. Values are secrets.",
    )
    configdrive: ConfigDriveRequest | None = Field(
        default=None, description="What cloud-init is told. Absent: no ConfigDrive is made."
    )
    options: Options = Field(default_factory=Options, description="What the agent adds of its own.")

    @model_validator(mode="after")
    def _sum_is_complete(self) -> Self:
        if (self.check_sum is None) != (self.check_sum_type is None):
            raise ValueError(messages.CHECKSUM_PAIR)
        if self.check_sum is not None and self.check_sum_type is not None:
            digits = self.check_sum_type.hex_digits
            if not re.fullmatch(rf"[0-9A-Fa-f]{{{digits}}}", self.check_sum):
                raise ValueError(f"checkSum: {self.check_sum_type} has {digits} hexadecimal digits")
        return self

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.options.disk is not None and self.disk_group_id:
            raise ValueError("diskGroupId and options.disk both name a target: give one of them")
        return self

    @property
    def wants_configdrive(self) -> bool:
        """Tell whether a ConfigDrive is to be made."""
        return self.configdrive is not None and self.configdrive.enable


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of the request."""
    schema = Request.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def described(place: Sequence[int | str]) -> str:
    """Give what the field at ``place`` (names and list indices, from the top) is for; empty if unknown."""
    *above, name = place or ("",)
    field = _properties(above).get(str(name), {})
    return str(field.get("description", ""))


def names_beside(place: Sequence[int | str]) -> list[str]:
    """Give the names of the fields that there are where ``place`` names one."""
    return list(_properties(place[:-1]))


def _properties(place: Sequence[int | str]) -> dict[str, Any]:
    """Give the fields of the object at ``place`` as the schema has them; none where there is no object."""
    schema = json_schema()
    part: dict[str, Any] = schema
    for step in place:
        part = part.get("items", {}) if isinstance(step, int) else part.get("properties", {}).get(step, {})
        part = next((choice for choice in part.get("anyOf", ()) if choice.get("type") != "null"), part)
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
    found: dict[str, Any] = part.get("properties", {})
    return found
