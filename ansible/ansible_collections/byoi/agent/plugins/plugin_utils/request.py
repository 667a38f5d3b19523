"""The arguments of byoi_deploy, and the request that they make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

JsonObject = dict[str, Any]

_TEXT = {"type": "str", "no_log": False}
_SECRET = {"type": "str", "no_log": True}

OPTIONS: JsonObject = {
    "boot_type": _TEXT,
    "ca_file": _TEXT,
    "disk": _TEXT,
    "efi_bootloader_path": _TEXT,
    "erase": _TEXT,
    "fetch_retries": {"type": "int"},
    "mirrors": {"type": "list", "elements": "str"},
    "proxy": _TEXT,
    "rivals": _TEXT,
    "sector_size": {"type": "int"},
    "service_name": _TEXT,
    "staging": _TEXT,
    "stall_timeout": {"type": "int"},
    "verify": {"type": "bool"},
}
CONFIGDRIVE: JsonObject = {
    "enable": {"type": "bool", "default": True},
    "hostname": _TEXT,
    "ssh_key": _TEXT,
    "user_data": _SECRET,
    "user_metadatas": {
        "type": "list",
        "elements": "dict",
        "options": {"key": {**_TEXT, "required": True}, "value": {**_TEXT, "required": True}},
    },
}
# What the agent itself refuses with a documented message is not refused here with another one.
REQUEST: JsonObject = {
    "url": {**_TEXT, "required": True},
    "type": {**_TEXT, "required": True},
    "check_sum": _TEXT,
    "check_sum_type": _TEXT,
    "description": _TEXT,
    "disk_group_id": {"type": "int"},
    "http_header": {
        "type": "list",
        "elements": "dict",
        "options": {"key": {**_TEXT, "required": True}, "value": {**_SECRET, "required": True}},
    },
    "configdrive": {"type": "dict", "options": CONFIGDRIVE},
    "options": {"type": "dict", "options": OPTIONS},
}
ARGUMENTS: JsonObject = {
    **REQUEST,
    "agent": {"type": "list", "elements": "str", "default": ["byoi-agent"]},
    "force": {"type": "bool", "default": False},
    "reconnect_timeout": {"type": "int", "default": 600},
    "show_progress": {"type": "bool", "default": True},
}


class NoText(Exception):
    """A value that has to be text has become something else on its way."""


def refuse_data_for_text(arguments: Mapping[str, Any]) -> None:
    """Refuse user data that Ansible has read as data: written again, it would not be the same bytes.

    Before version 2.19 Ansible makes a dictionary of what looks like one, as JSON does.
    """
    drive = arguments.get("configdrive")
    user_data = drive.get("user_data") if isinstance(drive, Mapping) else None
    if user_data is not None and not isinstance(user_data, str):
        raise NoText(
            "configdrive.user_data has to be text, and has come as"
            f" {'a list' if isinstance(user_data, list) else 'data'}. Ansible has read it as that;"
            " keep it text with a filter, as in {{ lookup('file', 'user-data.json') | string }}."
        )


def documented(arguments: Mapping[str, Any]) -> JsonObject:
    """Give the request, under the names that are documented, without what was not given."""
    found = {_name(field): _value(arguments[field]) for field in REQUEST if arguments.get(field) is not None}
    # The reboot is the playbook's: byoi-agent would end the connection before its last word was heard.
    options = found.get("options", {}) | {"reboot": False}
    return {**found, "options": options}


def as_json(request: JsonObject) -> str:
    """Write the request, always in the same way: whether two are the same is asked of the text."""
    return json.dumps(request, sort_keys=True)


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_name(key): _value(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_value(inner) for inner in value]
    return value


def _name(field: str) -> str:
    if field == "url":
        return "URL"
    first, *others = field.split("_")
    return first + "".join(word.capitalize() for word in others)
