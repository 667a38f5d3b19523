"""From the arguments of the Ansible module to the documented request."""

import json
from typing import Any

import pytest
from ansible_collections.byoi.agent.plugins.plugin_utils.request import (
    CONFIGDRIVE,
    OPTIONS,
    REQUEST,
    NoText,
    _name,
    as_json,
    documented,
    refuse_data_for_text,
)

from agent.request.model import ConfigDriveRequest, HttpHeader, Options, Request, UserMetadata
from agent.request.parse import load_json, parse

ARGUMENTS: dict[str, Any] = {
    "url": "https://images.example/a.qcow2",
    "type": "qcow2",
    "check_sum": "ab" * 32,
    "check_sum_type": "sha256",
    "description": "Debian",
    "disk_group_id": 2,
    "http_header": [{"key": "Authorization", "value": "Bearer t"}],
    "configdrive": {
        "enable": True,
        "hostname": "web1",
        "ssh_key": None,
        "user_data": "#!/bin/sh\n\techo 'ä' \\n\n",
        "user_metadatas": [{"key": "role", "value": "web"}],
    },
    "options": {
        "boot_type": "uefi",
        "efi_bootloader_path": "/EFI/debian/shimx64.efi",
        "fetch_retries": 3,
        "mirrors": ["http://mirror.example/a.qcow2"],
        "stall_timeout": None,
    },
    "agent": ["byoi-agent"],
    "force": False,
}


def outside(model: type[Any]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def test_the_agent_reads_what_is_made() -> None:
    request = parse(load_json(as_json(documented(ARGUMENTS)).encode()))
    assert request.url == ARGUMENTS["url"]
    assert request.http_header == (HttpHeader(key="Authorization", value="Bearer t"),)
    assert request.configdrive is not None
    assert request.configdrive.user_data == ARGUMENTS["configdrive"]["user_data"]
    assert request.configdrive.user_metadatas == (UserMetadata(key="role", value="web"),)
    assert request.options.mirrors == ("http://mirror.example/a.qcow2",)
    assert request.options.stall_timeout == Options().stall_timeout
    assert request.options.reboot is False


@pytest.mark.parametrize(
    ("arguments", "model", "left_out"),
    [
        (REQUEST, Request, set()),
        (CONFIGDRIVE, ConfigDriveRequest, set()),
        (OPTIONS, Options, {"reboot"}),
        (REQUEST["http_header"]["options"], HttpHeader, set()),
        (CONFIGDRIVE["user_metadatas"]["options"], UserMetadata, set()),
    ],
    ids=["request", "configdrive", "options", "header", "metadata"],
)
def test_every_field_of_the_request_has_its_argument(
    arguments: dict[str, Any], model: type[Any], left_out: set[str]
) -> None:
    fields = {_name(field) for field in arguments}
    assert fields == outside(model) - left_out


def test_the_same_request_is_the_same_text() -> None:
    other_order = dict(reversed(ARGUMENTS.items()))
    assert as_json(documented(ARGUMENTS)) == as_json(documented(other_order))
    assert as_json(documented(ARGUMENTS)) != as_json(documented({**ARGUMENTS, "type": "raw"}))


def test_what_was_not_given_is_not_asked_for() -> None:
    made = documented({"url": "http://a/b", "type": "raw", "check_sum": None, "configdrive": None})
    assert made == {"URL": "http://a/b", "type": "raw", "options": {"reboot": False}}


def test_the_documented_message_is_the_agents_to_say() -> None:
    # Ansible would have one of its own for a choice that is none, or for one of two.
    assert not any("choices" in field or "required_together" in field for field in REQUEST.values())
    assert json.loads(as_json(documented({"url": "u", "type": "vhd"})))["type"] == "vhd"


@pytest.mark.parametrize("data", [{"ignition": {}}, ["a"]])
def test_user_data_that_became_data_is_refused(data: object) -> None:
    with pytest.raises(NoText, match=r"\| string"):
        refuse_data_for_text({"configdrive": {"user_data": data}})


@pytest.mark.parametrize("arguments", [{}, {"configdrive": None}, {"configdrive": {"user_data": "{}"}}])
def test_text_is_no_data(arguments: dict[str, Any]) -> None:
    refuse_data_for_text(arguments)
