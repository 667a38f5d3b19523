"""The flags that stand for the fields of a request, declared once for every command that takes one."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

_REQUEST = "The request, field by field (flags win over the file)"
_CONFIGDRIVE = "ConfigDrive (any of these enables it)"
_OPTIONS = "Options"
_HTTP_HEADER = (
    "'Key: value', sent with the download; or @FILE with such lines, for secrets: other users can see a"
    " command line."
)


def _flag(name: str, metavar: str | None, text: str, panel: str) -> Any:
    return typer.Option(name, metavar=metavar, help=text, rich_help_panel=panel, show_default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFlags:
    """What was given on the command line; None or empty where nothing was."""

    url: Annotated[str | None, _flag("--url", "URL", "Where the image is.", _REQUEST)] = None
    type: Annotated[str | None, _flag("--type", "TYPE", "qcow2, raw or ova.", _REQUEST)] = None
    check_sum: Annotated[
        str | None, _flag("--check-sum", "HEX", "The sum of the file as it is delivered, in hex.", _REQUEST)
    ] = None
    check_sum_type: Annotated[
        str | None, _flag("--check-sum-type", "KIND", "md5, sha1, sha256 or sha512.", _REQUEST)
    ] = None
    description: Annotated[str | None, _flag("--description", "TEXT", "The image's name.", _REQUEST)] = None
    disk_group_id: Annotated[int | None, _flag("--disk-group-id", "NUMBER", "The disk group.", _REQUEST)] = (
        None
    )
    http_header: Annotated[list[str] | None, _flag("--http-header", "HEADER", _HTTP_HEADER, _REQUEST)] = None

    hostname: Annotated[str | None, _flag("--hostname", "NAME", "The new system's name.", _CONFIGDRIVE)] = (
        None
    )
    ssh_key: Annotated[
        list[str] | None,
        _flag("--ssh-key", "KEY", "A public key, or @FILE with some; may be repeated.", _CONFIGDRIVE),
    ] = None
    user_data: Annotated[
        str | None, _flag("--user-data", "DATA", "A script or cloud-config, or @FILE.", _CONFIGDRIVE)
    ] = None
    meta: Annotated[
        list[str] | None, _flag("--meta", "PAIR", "key=value, for cloud-init; may be repeated.", _CONFIGDRIVE)
    ] = None

    disk: Annotated[
        list[str] | None,
        _flag("--disk", "PATH", "The target: a block device, or a file that serves as one.", _OPTIONS),
    ] = None
    sector_size: Annotated[
        int | None, _flag("--sector-size", "BYTES", "512 or 4096, when the disk is a file.", _OPTIONS)
    ] = None
    boot_type: Annotated[str | None, _flag("--boot-type", "FIRMWARE", "auto, legacy or uefi.", _OPTIONS)] = (
        None
    )
    efi_bootloader_path: Annotated[
        str | None,
        _flag("--efi-bootloader-path", "PATH", "The loader on the image's ESP to start.", _OPTIONS),
    ] = None
    rivals: Annotated[
        str | None,
        _flag("--rivals", "HOW", "warn of, or erase, what other disks would boot instead.", _OPTIONS),
    ] = None
    staging: Annotated[str | None, _flag("--staging", "WHERE", "auto, memory or stream.", _OPTIONS)] = None
    erase: Annotated[
        str | None, _flag("--erase", "HOW", "quick: old signatures; full: the whole disk first.", _OPTIONS)
    ] = None
    verify: Annotated[
        bool | None, _flag("--verify/--no-verify", None, "Read everything back and compare.", _OPTIONS)
    ] = None
    reboot: Annotated[bool | None, _flag("--reboot/--no-reboot", None, "Reboot when done.", _OPTIONS)] = None
    proxy: Annotated[str | None, _flag("--proxy", "URL", "Proxy for the download.", _OPTIONS)] = None
    mirrors: Annotated[
        list[str] | None, _flag("--mirrors", "URL", "Another URL of the file; may be repeated.", _OPTIONS)
    ] = None
    ca_file: Annotated[
        str | None, _flag("--ca-file", "PATH", "Certificates to check the server against.", _OPTIONS)
    ] = None
    fetch_retries: Annotated[
        int | None, _flag("--fetch-retries", "NUMBER", "Repeats in a row without progress (6).", _OPTIONS)
    ] = None
    stall_timeout: Annotated[
        int | None,
        _flag("--stall-timeout", "SECONDS", "Seconds without data before a new try (60).", _OPTIONS),
    ] = None
    service_name: Annotated[
        str | None, _flag("--service-name", "NAME", "This server's name in the status.", _OPTIONS)
    ] = None


def with_request_flags(command: Callable[..., int]) -> Callable[..., int]:
    """Give ``command`` one parameter for each flag; it gets them together, as its argument ``flags``."""
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "flags"]
    hints = get_type_hints(RequestFlags, include_extras=True)
    shared = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name])
        for f in fields(RequestFlags)
    ]

    @wraps(command)
    def wrapper(**values: Any) -> int:
        flags = RequestFlags(**{f.name: values.pop(f.name) for f in fields(RequestFlags)})
        return command(flags=flags, **values)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    wrapper.__signature__ = inspect.Signature([*parameters, *shared], return_annotation=int)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in [*parameters, *shared]} | {"return": int}
    return wrapper
