"""The request of a command: a file or standard input, with the flags laid over it."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from agent.cli.request_flags import RequestFlags
from agent.errors import RequestError
from agent.fetch.redaction import printable
from agent.request.model import Request
from agent.request.parse import MAX_REQUEST_SIZE, JsonObject, load_json, parse

_FIELDS = {
    "url": "URL",
    "type": "type",
    "check_sum": "checkSum",
    "check_sum_type": "checkSumType",
    "description": "description",
    "disk_group_id": "diskGroupId",
}
_OPTIONS = {
    "boot_type": "bootType",
    "efi_bootloader_path": "efiBootloaderPath",
    "rivals": "rivals",
    "ca_file": "caFile",
    "disk": "disk",
    "erase": "erase",
    "fetch_retries": "fetchRetries",
    "mirrors": "mirrors",
    "proxy": "proxy",
    "reboot": "reboot",
    "sector_size": "sectorSize",
    "service_name": "serviceName",
    "staging": "staging",
    "stall_timeout": "stallTimeout",
    "verify": "verify",
}
_DRIVE = {"hostname": "hostname", "ssh_key": "sshKey", "user_data": "userData", "meta": "userMetadatas"}
_PATH = re.compile(r"\.{0,2}/[\w./~-]*|[\w./~-]+\.\w{1,5}")
_REQUEST_FILE = re.compile(r"[\w./~-]*\w\.json")
_PATHS = ("disk", "ca_file")


def read_request(source: str | None, flags: RequestFlags) -> Request:
    """Read the request from the file ``source`` ('-' is standard input; None: flags only)."""
    document = load_json(_read(source)) if source is not None else {}
    fields, options = _given(flags, _FIELDS), _given(flags, _OPTIONS)
    _forget_other_target(document, fields, options)
    document.update(fields)
    _lay_under(document, "options", options)
    if flags.http_header:
        document["httpHeader"] = [_header(line) for text in flags.http_header for line in _headers(text)]
    if configdrive := _configdrive(flags):
        _lay_under(document, "configdrive", {"enable": True, **configdrive})
    return parse(document, _given_as(flags, all_of_them=source is None))


def _given_as(flags: RequestFlags, *, all_of_them: bool) -> dict[str, str]:
    """Give the flag that each field was given by, for those that were: a person looks for what was typed.

    Who has typed flags alone also looks for the flag of what is missing.
    """
    places = {
        **_FIELDS,
        **{name: f"options.{field}" for name, field in _OPTIONS.items()},
        **{name: f"configdrive.{field}" for name, field in _DRIVE.items()},
        "http_header": "httpHeader",
    }
    return {
        place: _flag(name)
        for name, place in places.items()
        if all_of_them or getattr(flags, name) not in (None, [])
    }


def _flag(attribute: str) -> str:
    return f"--{attribute.replace('_', '-')}"


def _given(flags: RequestFlags, names: dict[str, str]) -> JsonObject:
    found = {}
    for attribute, name in names.items():
        value = getattr(flags, attribute)
        if value is None or value == []:
            continue
        found[name] = _path(attribute, value) if attribute in _PATHS else value
    return found


def _path(attribute: str, value: str | list[str]) -> str:
    flag = _flag(attribute)
    given = [value] if isinstance(value, str) else value
    if len(given) > 1:
        raise _wrong(f"{flag}: it is given more than once.")
    if not given[0]:
        raise _wrong(f"{flag}: the path is empty.")
    return os.path.abspath(given[0])  # noqa: PTH100 - keeps links


def _forget_other_target(document: JsonObject, fields: JsonObject, options: JsonObject) -> None:
    # A target named by a flag takes the place of the other kind of target in the file.
    inner = document.get("options")
    if "diskGroupId" in fields and isinstance(inner, dict):
        inner.pop("disk", None)
    if "disk" in options:
        document.pop("diskGroupId", None)


def _lay_under(document: JsonObject, name: str, values: JsonObject) -> None:
    if not values:
        return
    inner = document.get(name)
    # Something that is no object is left for the check of the whole, which names the field.
    if inner is None or isinstance(inner, dict):
        document[name] = {**(inner or {}), **values}


def _configdrive(flags: RequestFlags) -> JsonObject:
    values: dict[str, Any] = {}
    if flags.hostname is not None:
        values["hostname"] = flags.hostname
    if flags.ssh_key:
        for text in flags.ssh_key:
            _refuse_file_name("--ssh-key", text)
        values["sshKey"] = "\n".join(_text_or_file("--ssh-key", text).strip() for text in flags.ssh_key)
    if flags.user_data is not None:
        _refuse_file_name("--user-data", flags.user_data)
        values["userData"] = _text_or_file("--user-data", flags.user_data)
    if flags.meta:
        values["userMetadatas"] = [_pair(text) for text in flags.meta]
    return values


def _refuse_file_name(flag: str, text: str) -> None:
    # Without the @ the new system would get the name instead of what is in the file.
    if os.path.isfile(text):  # noqa: PTH113 - it answers for any text, be it too long for a path
        raise _wrong(f"{flag}: this is the name of a file; with an @ before it the file is read.")


def _text_or_file(flag: str, text: str) -> str:
    if not text.startswith("@"):
        return text
    # surrogateescape carries bytes that are no UTF-8 through text unchanged: user data may be gzip.
    return _read_file(text[1:], flag).decode("utf-8", errors="surrogateescape")


def _headers(text: str) -> list[str]:
    if not text.startswith("@"):
        return [text]
    lines = _text_or_file("--http-header", text).splitlines()
    return [line for line in lines if line.strip()]


def _header(text: str) -> JsonObject:
    key, colon, value = text.partition(":")
    if not colon:
        raise _wrong("--http-header: 'Key: value' is expected, there is no colon in what was given.")
    return {"key": key.strip(), "value": value.strip()}


def _pair(text: str) -> JsonObject:
    key, equals, value = text.partition("=")
    if not equals:
        raise _wrong("--meta: key=value is expected, there is no equals sign in what was given.")
    return {"key": key, "value": value}


def _read(source: str) -> bytes:
    if source == "-":
        return _bounded(sys.stdin.buffer.read(MAX_REQUEST_SIZE + 1), "standard input")
    return _read_file(source, "REQUEST")


def _read_file(path: str, what: str) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            return _bounded(stream.read(MAX_REQUEST_SIZE + 1), what)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else "that is no path"
        raise _wrong(f"{what}: the file {_name_of(path, what)}can not be read: {reason}.") from None


def _name_of(path: str, what: str) -> str:
    # After a forgotten quote it may be the value of a header: only what is plainly a path is repeated.
    is_name = (_REQUEST_FILE if what == "REQUEST" else _PATH).fullmatch(path)
    return f"{printable(path)} " if is_name else ""


def _bounded(data: bytes, where: str) -> bytes:
    if len(data) > MAX_REQUEST_SIZE:
        raise _wrong(f"{where} holds more than {MAX_REQUEST_SIZE} bytes, which is no request.")
    return data


def _wrong(detail: str) -> RequestError:
    return RequestError(
        "What the command line gives is wrong.",
        detail=detail,
        hint="See what is expected with: byoi-agent deploy --help",
    )
